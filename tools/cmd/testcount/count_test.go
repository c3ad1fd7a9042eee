package main

import (
	"slices"
	"strings"
	"testing"
)

func TestCounter(t *testing.T) {
	const pass = `
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"run","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}
`
	tests := map[string]struct {
		in     string
		want   tally
		prints string
		skips  []string
	}{
		"a parent is not counted besides its subtests": {in: pass, want: tally{passed: 2}},
		"a failure counts once and is printed": {
			in: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA/one","Output":"    a_test.go:3: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA/one"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`,
			want: tally{failed: 1}, prints: "a_test.go:3: wrong",
		},
		"a parent that fails by itself counts": {
			in: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA","Output":"leaked\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`,
			want: tally{passed: 1, failed: 1}, prints: "leaked",
		},
		"a package that fails after its tests counts": {
			in: `
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"goleak: found unexpected goroutines\n"}
{"Action":"fail","Package":"p"}
`,
			want: tally{passed: 1, failed: 1}, prints: "goleak",
		},
		"a test that never ended counts as failed": {
			in: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}
`,
			want: tally{failed: 1}, prints: "panic: boom",
		},
		"a build failure prints the compiler": {
			in: `
{"ImportPath":"p [p.test]","Action":"build-output","Output":"undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
`,
			want: tally{failed: 1}, prints: "undefined: x",
		},
		"skips say why": {
			in: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: no PostgreSQL: set DSN\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}
`,
			want: tally{skipped: 1}, skips: []string{"1 × no PostgreSQL: set DSN"},
		},
		"what is no JSON is shown": {in: "go: cannot find main module\n", prints: "cannot find main module"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			c := newCounter(&out)
			if err := c.read(strings.NewReader(strings.TrimLeft(test.in, "\n"))); err != nil {
				t.Fatal(err)
			}
			if got := c.tally(); got != test.want {
				t.Errorf("tally %+v, want %+v", got, test.want)
			}
			if !strings.Contains(out.String(), test.prints) || (test.prints == "") != (out.String() == "") {
				t.Errorf("printed %q, want %q in it", out.String(), test.prints)
			}
			if got := c.skips(); !slices.Equal(got, test.skips) {
				t.Errorf("skips %q, want %q", got, test.skips)
			}
		})
	}
}
