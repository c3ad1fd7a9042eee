package party

import (
	"strings"
	"unicode"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

// NewID mints an id for a person, a company or anything else: a UUIDv7 in lower case. Ids made by one process ascend.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Fold is text as people meant it: NFKC, without control characters, each run of white space as one space, none at the
// ends. `　ﾀｽｷ　１２ ` becomes `タスキ 12`.
func Fold(s string) string {
	if isPlain(s) {
		return s
	}
	s = norm.NFKC.String(s)
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r), r == '\uFEFF':
			space = true
		case unicode.IsControl(r), r == unicode.ReplacementChar:
		default:
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(r)
		}
	}
	// What was dropped between two characters may let them compose.
	return norm.NFKC.String(b.String())
}

// isPlain tells whether s is ASCII that Fold leaves as it is: the common case costs no allocation.
func isPlain(s string) bool {
	last := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && last == ' ' {
			return false
		}
		last = c
	}
	return last != ' ' || s == ""
}

// NameKey is a person's name for matching: folded, in lower case, without spaces and middle dots, so that 佐藤　花子 and
// 佐藤花子 agree.
func NameKey(name string) string {
	return fixpoint(name, func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || r == '・' || r == '·' {
				return -1
			}
			return r
		}, lower(Fold(s)))
	})
}

// lower is lower case that is still NFKC.
func lower(s string) string { return norm.NFKC.String(strings.ToLower(s)) }

// fixpoint applies f until nothing changes. A few letters change once more when they are folded after lower-casing.
func fixpoint(s string, f func(string) string) string {
	for range 10 {
		next := f(s)
		if next == s {
			break
		}
		s = next
	}
	return s
}
