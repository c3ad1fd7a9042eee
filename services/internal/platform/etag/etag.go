package etag

import (
	"fmt"
	"strconv"
	"strings"
)

// Format is the etag of a version: its decimal number.
func Format(version int64) string { return strconv.FormatInt(version, 10) }

// MismatchError says that the resource is no longer, or was never, at the version the client named.
type MismatchError struct {
	// Got is the etag the client sent; Current the version the resource has.
	Got     string
	Current int64
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("etag %q does not match the current version %q", e.Got, Format(e.Current))
}

// Matcher is what a client expects of the version.
type Matcher struct {
	raw      string
	any      bool
	versions []int64
}

// Match reads an etag of a request: a bare number, or the value of an If-Match header ("7", W/"7", lists of them, *). Empty
// and * match every version; what is no etag of ours matches none.
func Match(etag string) Matcher {
	m := Matcher{raw: etag}
	for part := range strings.SplitSeq(etag, ",") {
		part = strings.TrimSpace(part)
		switch part {
		case "*":
			m.any = true
			continue
		case "":
			continue
		}
		part = strings.TrimPrefix(part, "W/")
		if len(part) >= 2 && part[0] == '"' && part[len(part)-1] == '"' {
			part = part[1 : len(part)-1]
		}
		// Only the form that Format writes: no sign, no leading zero.
		if v, err := strconv.ParseInt(part, 10, 64); err == nil && v >= 0 && Format(v) == part {
			m.versions = append(m.versions, v)
		}
	}
	if strings.TrimSpace(etag) == "" {
		m.any = true
	}
	return m
}

// Any tells whether every version matches, because the client named none.
func (m Matcher) Any() bool { return m.any }

// Check compares with the version in the store. The error is a *MismatchError.
func (m Matcher) Check(version int64) error {
	if m.any {
		return nil
	}
	for _, v := range m.versions {
		if v == version {
			return nil
		}
	}
	return &MismatchError{Got: m.raw, Current: version}
}
