package event

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

// cursor is a place in the feed: everything up to it was looked at. The zero cursor is before the oldest event.
type cursor struct {
	xid uint64 // always 0 on SQLite
	seq int64
}

const cursorVersion = 1

var errCursor = errors.New("event: not a cursor")

func (c cursor) before(d cursor) bool {
	return c.xid < d.xid || c.xid == d.xid && c.seq < d.seq
}

// String is the opaque form: version, both numbers, and a checksum against damage.
func (c cursor) String() string {
	b := []byte{cursorVersion}
	b = binary.AppendUvarint(b, c.xid)
	b = binary.AppendUvarint(b, uint64(c.seq))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor accepts what String has made, and the empty string for the beginning.
func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 7 || b[0] != cursorVersion {
		return cursor{}, errCursor
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return cursor{}, errCursor
	}
	xid, n := binary.Uvarint(body[1:])
	if n <= 0 {
		return cursor{}, errCursor
	}
	seq, m := binary.Uvarint(body[1+n:])
	if m <= 0 || 1+n+m != len(body) || seq > math.MaxInt64 {
		return cursor{}, errCursor
	}
	c := cursor{xid: xid, seq: int64(seq)}
	if c.String() != s { // numbers written longer than they need
		return cursor{}, errCursor
	}
	return c, nil
}
