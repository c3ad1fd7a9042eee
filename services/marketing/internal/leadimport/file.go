package leadimport

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// MaxBytes is the largest file.
const MaxBytes = 20 << 20

// Names of encodings, as they are shown.
const (
	utf8Name = "UTF-8"
	sjisName = "Shift_JIS"
)

var (
	bom       = []byte("\xef\xbb\xbf")
	workbook  = []byte("PK\x03\x04")
	workbook2 = []byte("\xd0\xcf\x11\xe0")
	utf16s    = [][]byte{{0xff, 0xfe}, {0xfe, 0xff}}
)

// decode makes UTF-8 of a file and names its encoding. want is "", "auto", "utf-8" or "shift_jis".
func decode(content []byte, want string) (text []byte, encoding string, err error) {
	switch {
	case len(content) > MaxBytes:
		return nil, "", problem.TooLarge(MaxBytes)
	case bytes.HasPrefix(content, workbook), bytes.HasPrefix(content, workbook2):
		return nil, "", problem.FileNotCSV("it is a workbook of a spreadsheet program: save it as CSV there, and send that")
	case slices.ContainsFunc(utf16s, func(mark []byte) bool { return bytes.HasPrefix(content, mark) }):
		return nil, "", problem.FileEncodingUnknown()
	}
	unmarked := bytes.TrimPrefix(content, bom)
	if want != "shift_jis" && utf8.Valid(unmarked) {
		text, encoding = unmarked, utf8Name
	} else if want != "utf-8" {
		// The decoder knows the letters that Windows adds, such as ㈱, and writes U+FFFD for what it does not know.
		text, err = japanese.ShiftJIS.NewDecoder().Bytes(content)
		encoding = sjisName
	}
	if err != nil || encoding == "" || encoding == sjisName && bytes.ContainsRune(text, utf8.RuneError) {
		return nil, "", problem.FileEncodingUnknown()
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, "", problem.FileNotCSV("it holds zero bytes, which no text has")
	}
	return text, encoding, nil
}

// record is one row of a file.
type record struct {
	// line is where it begins, from 1.
	line  int
	cells []string
	// broken: it is no CSV; cells holds its text as one cell.
	broken bool
	// odd: it could only be read by taking its quotes as they are.
	odd bool
}

// split reads rows, whatever is wrong with some of them: a row that is no CSV, for instance one with a quote that is never
// closed, ends with its line, and reading goes on with the next. Blank rows are left out.
func split(text []byte, comma rune) []record {
	var records []record
	start, line := 0, 1 // of the part that is read
	for start < len(text) {
		r := csv.NewReader(bytes.NewReader(text[start:]))
		r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, false
		for {
			before := r.InputOffset()
			cells, err := r.Read()
			if errors.Is(err, io.EOF) {
				return records
			}
			if err != nil {
				var broken *csv.ParseError
				if !errors.As(err, &broken) {
					return records // the reader of a byte slice has no other errors
				}
				// The record begins behind what was read before, after blank lines.
				begin := start + int(before)
				at := line + bytes.Count(text[start:begin], newline)
				for begin < len(text) && (text[begin] == '\n' || text[begin] == '\r') {
					if text[begin] == '\n' {
						at++
					}
					begin++
				}
				end := len(text)
				if i := bytes.IndexByte(text[begin:], '\n'); i >= 0 {
					end = begin + i + 1
				}
				records = append(records, mend(text[begin:end], comma, at))
				start, line = end, at+1
				break
			}
			if !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
				continue
			}
			first, _ := r.FieldPos(0)
			records = append(records, record{line: line + first - 1, cells: cells})
		}
	}
	return records
}

var newline = []byte{'\n'}

// mend reads one line with its quotes taken as they are.
func mend(text []byte, comma rune, line int) record {
	text = bytes.TrimRight(text, "\r\n")
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = comma, -1, true
	cells, err := r.Read()
	if err != nil {
		return record{line: line, cells: []string{string(text)}, broken: true}
	}
	return record{line: line, cells: cells, odd: true}
}

// table is a file that was understood.
type table struct {
	columns []column
	rows    []record
}

// headerWithin is how many rows at the top may stand before the header: titles, dates of export.
const headerWithin = 5

// understand finds the delimiter and the header of a text.
func understand(text []byte) (table, error) {
	head := text[:min(len(text), 64<<10)]
	best := table{}
	bestKnown, bestComma, bestAt := 0, ',', 0
	for _, comma := range []rune{',', '\t', ';'} {
		rows := split(head, comma)
		for i, row := range rows[:min(len(rows), headerWithin)] {
			columns := mapColumns(row.cells)
			if n := known(columns); n > bestKnown && usable(columns) {
				best.columns, bestKnown, bestComma, bestAt = columns, n, comma, i
			}
		}
	}
	if bestKnown == 0 {
		return table{}, problem.FileNotCSV("no row at its top names columns that are known, such as Email, Company, メールアドレス or 会社名, with a mail address or phone number among them")
	}
	rows := split(text, bestComma)
	best.rows = rows[bestAt+1:]
	return best, nil
}
