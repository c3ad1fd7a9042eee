package page_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/apipb"
	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/page"
)

var at = time.Date(2026, 4, 6, 9, 30, 0, 123_456_000, time.UTC)

func TestLimit(t *testing.T) {
	for size, want := range map[int32]int{-1: 50, 0: 50, 1: 1, 50: 50, 500: 500, 501: 500, math.MaxInt32: 500} {
		if got := (page.Request{Size: size}).Limit(); got != want {
			t.Errorf("size %d: limit %d, want %d", size, got, want)
		}
	}
}

func TestFirstPage(t *testing.T) {
	id := "untouched"
	more, err := page.Of("leads").Decode("", &id)
	if more || err != nil || id != "untouched" {
		t.Errorf("more %v, err %v, id %q", more, err, id)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		query := page.Of("leads", rapid.String().Draw(t, "filter"))
		text := rapid.StringN(0, 80, 300).Draw(t, "text")
		number := rapid.Int64().Draw(t, "number")
		micros := rapid.Int64Range(-1<<55, 1<<55).Draw(t, "time")
		flag := rapid.Bool().Draw(t, "flag")
		moment := time.UnixMicro(micros).UTC()

		token := query.Encode(text, number, moment, flag)
		if strings.ContainsAny(token, "+/=&? ") {
			t.Fatalf("not safe in a URL: %q", token)
		}
		var gotText string
		var gotNumber int64
		var gotTime time.Time
		var gotFlag bool
		more, err := query.Decode(token, &gotText, &gotNumber, &gotTime, &gotFlag)
		if !more || err != nil {
			t.Fatal(more, err)
		}
		if gotText != text || gotNumber != number || !gotTime.Equal(moment) || gotTime.Location() != time.UTC || gotFlag != flag {
			t.Fatal(gotText, gotNumber, gotTime, gotFlag)
		}
	})
}

func TestAfter(t *testing.T) {
	query := page.Of("leads")
	if got, err := query.After(""); got != nil || err != nil {
		t.Errorf("the first page is after %v, %v", got, err)
	}
	got, err := query.After(query.Encode(at, "x"))
	if err != nil || !got.At.Equal(at) || got.ID != "x" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, token := range []string{"!", query.Encode("x"), query.Encode("x", at), page.Of("people").Encode(at, "x")} {
		if got, err := query.After(token); got != nil || !errors.Is(err, page.ErrToken) {
			t.Errorf("%q gives %v, %v", token, got, err)
		}
	}
}

func TestTokenOfAnotherQuery(t *testing.T) {
	token := page.Of("leads", "state=NEW", "created_at").Encode(at, "id")
	for _, other := range []page.Query{
		page.Of("leads", "state=NEW", "score"),
		page.Of("leads", "state=OLD", "created_at"),
		page.Of("leads", "state=NEWcreated_at", ""),
		page.Of("people", "state=NEW", "created_at"),
		page.Of(),
	} {
		var when time.Time
		var id string
		if _, err := other.Decode(token, &when, &id); !errors.Is(err, page.ErrToken) {
			t.Errorf("got %v", err)
		}
	}
}

func TestOtherColumns(t *testing.T) {
	query := page.Of("leads")
	token := query.Encode(at, "id")
	var when time.Time
	var id string
	var n int64
	var flag bool
	for i, dest := range [][]any{{&id, &when}, {&when}, {&when, &id, &n}, {&n, &id}, {&when, &flag}, {}} {
		if _, err := query.Decode(token, dest...); !errors.Is(err, page.ErrToken) {
			t.Errorf("case %d: got %v", i, err)
		}
	}
	if !when.IsZero() || id != "" {
		t.Error("a refused token set a destination")
	}
}

// Any single changed bit is noticed.
func TestDamage(t *testing.T) {
	query := page.Of("leads")
	raw, err := base64.RawURLEncoding.DecodeString(query.Encode("some-id", 7))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		damaged := append([]byte(nil), raw...)
		damaged[bit/8] ^= 1 << (bit % 8)
		var id string
		var n int64
		if _, err := query.Decode(base64.RawURLEncoding.EncodeToString(damaged), &id, &n); !errors.Is(err, page.ErrToken) {
			t.Fatalf("bit %d: got %v", bit, err)
		}
	}
	for _, token := range []string{"x", "!", "7", strings.Repeat("A", 3000), query.Encode("a")[1:], query.Encode("a") + "A"} {
		var id string
		if _, err := query.Decode(token, &id); !errors.Is(err, page.ErrToken) {
			t.Errorf("%.20q: got %v", token, err)
		}
	}
}

func TestBind(t *testing.T) {
	first := page.Bind(&apipb.Mixin{Name: "a", Root: "b"})
	if first != page.Bind(&apipb.Mixin{Name: "a", Root: "b"}) {
		t.Error("the same request is another query")
	}
	if first == page.Bind(&apipb.Mixin{Name: "ab"}) || first == page.Bind(&apipb.Api{Name: "a"}) {
		t.Error("another request is the same query")
	}
}

func TestCut(t *testing.T) {
	token := func(last int) string { return fmt.Sprint("after ", last) }
	for _, tc := range []struct {
		rows, want []int
		next       string
	}{
		{nil, nil, ""},
		{[]int{1}, []int{1}, ""},
		{[]int{1, 2}, []int{1, 2}, ""},
		{[]int{1, 2, 3}, []int{1, 2}, "after 2"},
	} {
		got, next := page.Cut(tc.rows, 2, token)
		if diff := cmp.Diff(tc.want, got); diff != "" || next != tc.next {
			t.Errorf("%v: next %q %s", tc.rows, next, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	query := page.Of("leads")
	f.Add(query.Encode("id", 7, at, true))
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		var id string
		var n int64
		var when time.Time
		var flag bool
		more, err := query.Decode(token, &id, &n, &when, &flag)
		switch {
		case err != nil && (more || !errors.Is(err, page.ErrToken)):
			t.Fatal(more, err)
		case more && query.Encode(id, n, when, flag) != token:
			t.Fatalf("%q is a second form of %q", token, query.Encode(id, n, when, flag))
		}
	})
}
