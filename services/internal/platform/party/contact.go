package party

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Limits of addresses, in bytes (RFC 5321).
const (
	maxMail   = 254
	maxDomain = 253
)

var (
	localPart = regexp.MustCompile("^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")
	// hostName allows letters beyond ASCII: Japanese domains are written as they are.
	hostName = regexp.MustCompile(`^([\p{L}\p{N}\p{M}]([\p{L}\p{N}\p{M}_-]{0,61}[\p{L}\p{N}\p{M}])?\.)+[\p{L}\p{N}\p{M}-]{2,63}$`)
)

// NormalizeMail is a mail address for matching: NFKC, trimmed, lower case. A `mailto:` before it and angle brackets
// around it are taken off. ok is false when it is no address that could be written to; the text is then what was made of
// it so far.
func NormalizeMail(s string) (mail string, ok bool) {
	s = fixpoint(s, func(s string) string {
		s = strings.TrimSpace(lower(Fold(s)))
		s = strings.TrimPrefix(s, "mailto:")
		if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(s, ">") {
			s = s[i+1 : len(s)-1]
		}
		return s
	})
	local, domain, found := strings.Cut(s, "@")
	ok = found && len(s) <= maxMail && len(local) <= 64 && localPart.MatchString(local) && validDomain(domain)
	return s, ok
}

// MailDomain is the part behind the @ of a normalised mail address; empty when there is none.
func MailDomain(mail string) string {
	_, domain, _ := strings.Cut(mail, "@")
	return domain
}

// NormalizeDomain is a web domain for matching: from a host, a web address or a mail address it takes the host in lower
// case, without `www.`, port and closing dot. ok is false when that is no domain name.
func NormalizeDomain(s string) (domain string, ok bool) {
	s = fixpoint(s, func(s string) string {
		s = strings.TrimSpace(lower(Fold(s)))
		if i := strings.Index(s, "://"); i >= 0 {
			s = s[i+3:]
		}
		s = strings.TrimPrefix(s, "//")
		if i := strings.IndexAny(s, "/?#"); i >= 0 {
			s = s[:i]
		}
		if i := strings.LastIndexByte(s, '@'); i >= 0 {
			s = s[i+1:]
		}
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			s = s[:i]
		}
		s = strings.TrimSuffix(s, ".")
		return strings.TrimPrefix(s, "www.")
	})
	return s, validDomain(s)
}

func validDomain(s string) bool {
	if len(s) > maxDomain || !hostName.MatchString(s) {
		return false
	}
	_, err := netip.ParseAddr(s) // 192.0.2.1 has the form of a name
	return err != nil
}

// extension is what follows a number inside of a company: 内線 12, ext. 12.
var extension = regexp.MustCompile(`(?i)[\s(,;/]*(内線|ext\.?|extension|x)\s*[:.]?\s*\d{1,6}\)?\s*$`)

// japan is the country code of Japan.
const japan = 81

// NormalizePhone is a phone number in E.164 (`+81312345678`). Numbers without a country are Japanese. An extension is set
// aside. ok is false when it cannot be a phone number; the text is then the folded input.
func NormalizePhone(s string) (phone string, ok bool) {
	s = Fold(s)
	if len(s) > 100 || s == "" {
		return s, false
	}
	if e164, ok := plainJapanese(s); ok {
		return e164, true
	}
	parsed, err := phonenumbers.Parse(extension.ReplaceAllString(s, ""), "JP")
	switch {
	case err != nil, phonenumbers.IsPossibleNumberWithReason(parsed) != phonenumbers.IS_POSSIBLE:
		return s, false
	case parsed.GetCountryCode() == japan && parsed.GetItalianLeadingZero():
		return s, false // 00… are services of carriers, and no numbers that others can call
	}
	e164 := phonenumbers.Format(parsed, phonenumbers.E164)
	return e164, len(e164) >= 9
}

// plainJapanese takes the common writings, 03-1234-5678, 090 1234 5678 and +81312345678, without the general parser: that
// costs 45 µs a number, a fifth of what an import has for a whole row. A test compares both.
func plainJapanese(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "+81"); ok && strings.Trim(rest, "0123456789") == "" {
		return s, (len(rest) == 9 || len(rest) == 10) && rest[0] != '0'
	}
	digits := make([]byte, 0, 14)
	digits = append(digits, "+81"...)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if len(digits) == cap(digits) {
				return "", false
			}
			digits = append(digits, c)
		case c == '-' || c == ' ':
		default:
			return "", false
		}
	}
	d := digits[3:]
	if len(d) < 10 || d[0] != '0' || d[1] == '0' || string(d[:3]) == "010" { // 010 dials abroad
		return "", false
	}
	copy(d, d[1:])
	return string(digits[:len(digits)-1]), true
}
