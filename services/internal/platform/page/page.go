// Package page pages lists by keyset: a page token holds the order columns of the last row that was given out, so no row
// comes twice or is skipped while others are inserted. Tokens are opaque, carry a checksum, and are bound to the request
// they were made for. They are not secret and not signed: a token only ever positions a query the caller may run anyway.
package page

import (
	"errors"
)

// DefaultSize is the page size when the request names none; MaxSize is the most a page holds.
const (
	DefaultSize = 50
	MaxSize     = 500
)

// ErrToken is any page token that cannot be used: damaged, of another version, or of another query.
var ErrToken = errors.New("page: the page token is invalid or belongs to another query")
