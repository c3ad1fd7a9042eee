package event

import "testing"

func FuzzCursor(f *testing.F) {
	for _, c := range []cursor{{}, {1, 2}, {1 << 63, 1 << 62}} {
		f.Add(c.String(), c.xid, c.seq)
	}
	f.Add("", uint64(0), int64(0))
	f.Add("now", uint64(7), int64(-1))
	f.Fuzz(func(t *testing.T, s string, xid uint64, seq int64) {
		if c, err := parseCursor(s); err == nil && s != "" && c.String() != s {
			t.Errorf("%q is read as %v, which is written %q", s, c, c)
		}
		if seq < 0 {
			return
		}
		want := cursor{xid, seq}
		if got, err := parseCursor(want.String()); err != nil || got != want {
			t.Errorf("%v becomes %v, %v", want, got, err)
		}
	})
}
