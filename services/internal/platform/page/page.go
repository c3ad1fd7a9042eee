package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// DefaultSize is the page size when the request names none; MaxSize is the most a page holds, whatever is asked.
const (
	DefaultSize = 50
	MaxSize     = 500
)

// ErrToken is any page token that cannot be used: damaged, of another version, or of another query. The way out for a client
// is to start again without a token.
var ErrToken = errors.New("page: the page token is invalid or belongs to another query")

// Request is the paging half of a List request.
type Request struct {
	// Size is how many rows the client wants; 0 means DefaultSize.
	Size int32
	// Token is empty for the first page.
	Token string
}

// Limit is the number of rows to give out: Size within 1 and MaxSize, DefaultSize when it is not positive.
func (r Request) Limit() int { return Limit(r.Size) }

// Limit is Request.Limit for a bare page_size.
func Limit(size int32) int {
	if size <= 0 {
		return DefaultSize
	}
	return min(int(size), MaxSize)
}

// Query identifies a query: what selects and orders its rows. Tokens of one query do not work for another.
type Query struct{ hash [hashSize]byte }

// Bind identifies the query of a List request: its type and all of its fields but page_size and page_token.
func Bind(request proto.Message) Query {
	clone := proto.Clone(request)
	message := clone.ProtoReflect()
	for _, name := range []protoreflect.Name{"page_size", "page_token"} {
		if field := message.Descriptor().Fields().ByName(name); field != nil {
			message.Clear(field)
		}
	}
	encoded, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(clone)
	if err != nil {
		// Only text that is not UTF-8 does this; no such request arrives by the wire.
		return Of(message.Descriptor().FullName(), err.Error())
	}
	return Of(message.Descriptor().FullName(), encoded)
}

// Of identifies a query by parts, formatted by %v: its name, filters and order.
func Of(parts ...any) Query {
	h := sha256.New()
	for _, part := range parts {
		var text []byte
		if b, ok := part.([]byte); ok {
			text = b
		} else {
			text = fmt.Append(nil, part)
		}
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write(text)
	}
	var q Query
	copy(q.hash[:], h.Sum(nil))
	return q
}

// A token is version, hash of the query, values, checksum of all before it; in base64 for URLs.
const (
	version   = 1
	hashSize  = 8
	sumSize   = 4
	maxLength = 2048
)

// The kinds of values.
const (
	kindString = 's'
	kindInt    = 'i'
	kindTime   = 't'
	kindBool   = 'b'
)

// Encode makes the token that continues after a row with these values in the columns of the order. Values are string, int,
// int32, int64, bool or time.Time, which keeps its microseconds; anything else is a mistake in the program and panics.
func (q Query) Encode(values ...any) string {
	b := append([]byte{version}, q.hash[:]...)
	for _, value := range values {
		switch v := value.(type) {
		case string:
			b = append(b, kindString)
			b = binary.AppendUvarint(b, uint64(len(v)))
			b = append(b, v...)
		case int:
			b = binary.AppendVarint(append(b, kindInt), int64(v))
		case int32:
			b = binary.AppendVarint(append(b, kindInt), int64(v))
		case int64:
			b = binary.AppendVarint(append(b, kindInt), v)
		case time.Time:
			b = binary.AppendVarint(append(b, kindTime), v.UnixMicro())
		case bool:
			n := int64(0)
			if v {
				n = 1
			}
			b = binary.AppendVarint(append(b, kindBool), n)
		default:
			panic(fmt.Sprintf("page: a cursor cannot hold a %T", value))
		}
	}
	b = append(b, checksum(b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// After is where a list goes on that shows the newest rows first: behind the row with this time and id.
type After struct {
	At time.Time
	ID string
}

// After reads a token of Encode(at, id); nil is the first page. Errors match ErrToken.
func (q Query) After(token string) (*After, error) {
	var a After
	if more, err := q.Decode(token, &a.At, &a.ID); err != nil || !more {
		return nil, err
	}
	return &a, nil
}

// Decode reads a token of this query into *string, *int64, *bool and *time.Time, in the order of Encode. It reports false,
// and leaves the destinations alone, for the empty token of the first page. Errors match ErrToken; then, too, nothing is set.
func (q Query) Decode(token string, dest ...any) (more bool, err error) {
	if token == "" {
		return false, nil
	}
	if len(token) > maxLength {
		return false, ErrToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+hashSize+sumSize {
		return false, ErrToken
	}
	body, sum := b[:len(b)-sumSize], b[len(b)-sumSize:]
	if body[0] != version || !bytes.Equal(sum, checksum(body)) || !bytes.Equal(body[1:1+hashSize], q.hash[:]) {
		return false, ErrToken
	}
	rest := body[1+hashSize:]
	set := make([]func(), 0, len(dest))
	for _, d := range dest {
		var assign func()
		if rest, assign = value(rest, d); assign == nil {
			return false, ErrToken
		}
		set = append(set, assign)
	}
	if len(rest) > 0 {
		return false, ErrToken
	}
	for _, assign := range set {
		assign()
	}
	return true, nil
}

// value reads one value for the destination; a nil function means that it does not fit.
func value(b []byte, dest any) (rest []byte, assign func()) {
	if len(b) == 0 {
		return nil, nil
	}
	kind, b := b[0], b[1:]
	if kind == kindString {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, nil
		}
		text := string(b[n : n+int(size)])
		if d, ok := dest.(*string); ok {
			return b[n+int(size):], func() { *d = text }
		}
		return nil, nil
	}
	number, n := binary.Varint(b)
	if n <= 0 {
		return nil, nil
	}
	b = b[n:]
	switch d := dest.(type) {
	case *int64:
		if kind == kindInt {
			return b, func() { *d = number }
		}
	case *time.Time:
		if kind == kindTime {
			return b, func() { *d = time.UnixMicro(number).UTC() }
		}
	case *bool:
		if kind == kindBool && (number == 0 || number == 1) {
			return b, func() { *d = number == 1 }
		}
	case *string:
	default:
		panic(fmt.Sprintf("page: a cursor cannot be read into a %T", dest))
	}
	return nil, nil
}

func checksum(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:sumSize]
}

// Cut takes rows of a query that asked for one more than limit, and gives those of the page, and the token of the next page:
// empty when there is none. token makes it from the last row of the page.
func Cut[T any](rows []T, limit int, token func(last T) string) (page []T, next string) {
	if len(rows) <= limit {
		return rows, ""
	}
	return rows[:limit], token(rows[limit-1])
}
