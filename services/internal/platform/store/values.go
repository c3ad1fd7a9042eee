package store

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// timeLayout is how SQLite holds a time: fixed width, so that it compares as text. UTC, microseconds.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// JSON is a value in a jsonb (PostgreSQL) or TEXT (SQLite) column, as an argument, a destination or a field of a struct
// that Get and Select fill. What marshals to null is stored as NULL; NULL scans as the zero value.
type JSON[T any] struct{ V T }

// JSONOf wraps v for use as an argument.
func JSONOf[T any](v T) JSON[T] { return JSON[T]{V: v} }

// Value implements driver.Valuer.
func (j JSON[T]) Value() (driver.Value, error) {
	b, err := json.Marshal(j.V)
	if err != nil {
		return nil, fmt.Errorf("store: JSON of %T: %w", j.V, err)
	}
	if string(b) == "null" {
		return nil, nil
	}
	return string(b), nil
}

// Scan implements sql.Scanner.
func (j *JSON[T]) Scan(src any) error {
	var zero T
	j.V = zero
	var b []byte
	switch s := src.(type) {
	case nil:
		return nil
	case string:
		b = []byte(s)
	case []byte:
		b = s
	default:
		return fmt.Errorf("store: cannot read JSON from %T", src)
	}
	if err := json.Unmarshal(b, &j.V); err != nil {
		return fmt.Errorf("store: JSON into %T: %w", j.V, err)
	}
	return nil
}

// MarshalJSON makes the wrapper invisible where the struct around it is itself marshalled.
func (j JSON[T]) MarshalJSON() ([]byte, error) { return json.Marshal(j.V) }

// UnmarshalJSON is the inverse of MarshalJSON.
func (j *JSON[T]) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &j.V) }

// normalize makes arguments that both engines store alike. It copies args only when something changes.
func normalize(args []any, engine Engine) ([]any, error) {
	out := args
	for i, arg := range args {
		v, changed, err := normalizeOne(arg, engine)
		if err != nil {
			return nil, err
		}
		if !changed {
			continue
		}
		if &out[0] == &args[0] {
			out = append([]any(nil), args...)
		}
		out[i] = v
	}
	return out, nil
}

func normalizeOne(arg any, engine Engine) (v any, changed bool, err error) {
	switch a := arg.(type) {
	case nil, string, []byte, int64, int, int32, bool, float64, []string:
		return arg, false, nil
	case time.Time:
		return timeArg(a, engine), true, nil
	case *time.Time:
		if a == nil {
			return nil, true, nil
		}
		return timeArg(*a, engine), true, nil
	case driver.Valuer:
		if rv := reflect.ValueOf(a); rv.Kind() == reflect.Pointer && rv.IsNil() {
			return nil, true, nil
		}
		value, err := a.Value()
		if err != nil {
			return nil, false, err
		}
		if t, ok := value.(time.Time); ok {
			value = timeArg(t, engine)
		}
		return value, true, nil
	}
	return arg, false, nil
}

func timeArg(t time.Time, engine Engine) any {
	t = t.UTC()
	if engine == SQLite {
		return t.Format(timeLayout)
	}
	// PostgreSQL counts microseconds: cut here, so that both engines cut alike.
	return t.Truncate(time.Microsecond)
}

// timeDest reads a time that SQLite returns as text (from an expression) or as time.Time (from a TIMESTAMP column).
type timeDest struct {
	to    *time.Time
	toPtr **time.Time // set instead of to when NULL is allowed
}

func (d timeDest) Scan(src any) error {
	var t time.Time
	switch s := src.(type) {
	case nil:
		if d.toPtr == nil {
			return fmt.Errorf("store: cannot scan NULL into *time.Time; use **time.Time")
		}
		*d.toPtr = nil
		return nil
	case time.Time:
		t = s.UTC()
	case string:
		var err error
		if t, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return fmt.Errorf("store: not a time of this store: %w", err)
		}
		t = t.UTC()
	default:
		return fmt.Errorf("store: cannot read a time from %T", src)
	}
	if d.toPtr != nil {
		*d.toPtr = &t
	} else {
		*d.to = t
	}
	return nil
}

// bytesDest keeps an empty value apart from NULL, which the driver shows alike.
type bytesDest struct{ to *[]byte }

func (d bytesDest) Scan(src any) error {
	switch s := src.(type) {
	case nil:
		*d.to = nil
	case []byte:
		*d.to = append([]byte{}, s...)
	case string:
		*d.to = []byte(s)
	default:
		return fmt.Errorf("store: cannot read bytes from %T", src)
	}
	return nil
}

// sqliteDests wraps destinations that need help. It copies dest only when there is one.
func sqliteDests(dest []any) []any {
	out := dest
	for i, d := range dest {
		var wrapped sql.Scanner
		switch p := d.(type) {
		case *time.Time:
			wrapped = timeDest{to: p}
		case **time.Time:
			wrapped = timeDest{toPtr: p}
		case *[]byte:
			wrapped = bytesDest{p}
		default:
			continue
		}
		if &out[0] == &dest[0] {
			out = append([]any(nil), dest...)
		}
		out[i] = wrapped
	}
	return out
}
