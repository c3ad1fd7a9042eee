package etag_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		etag    string
		matches bool // version 7
		any     bool
	}{
		{"", true, true},
		{" ", true, true},
		{"*", true, true},
		{"7", true, false},
		{`"7"`, true, false},
		{`W/"7"`, true, false},
		{`"6", "7"`, true, false},
		{` W/"6" ,W/"7"`, true, false},
		{"8", false, false},
		{`"8"`, false, false},
		{"07", false, false},
		{"+7", false, false},
		{"-7", false, false},
		{`"7`, false, false},
		{`w/"7"`, false, false},
		{"seven", false, false},
		{"7.0", false, false},
		{"99999999999999999999", false, false},
		{",", false, false},
		{`""`, false, false},
	} {
		m := etag.Match(tc.etag)
		err := m.Check(7)
		if (err == nil) != tc.matches || m.Any() != tc.any {
			t.Errorf("%q: any %v, err %v", tc.etag, m.Any(), err)
		}
		if err == nil {
			continue
		}
		var mismatch *etag.MismatchError
		if !errors.As(err, &mismatch) || mismatch.Current != 7 || mismatch.Got != tc.etag {
			t.Errorf("%q: got %#v", tc.etag, err)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(`W/"7", "8"`)
	f.Add("*")
	f.Fuzz(func(t *testing.T, s string) {
		m := etag.Match(s)
		if m.Check(7) == nil && m.Check(8) == nil && !m.Any() {
			for _, v := range []int64{7, 8} {
				if etag.Match(strconv.FormatInt(v, 10)).Check(v) != nil {
					t.Fatal(v)
				}
			}
		}
		if etag.Match(etag.Format(7)).Check(7) != nil {
			t.Fatal("a version does not match its own etag")
		}
	})
}
