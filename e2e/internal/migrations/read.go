// Package migrations reads the SQL of all services, and says what in it programs of the version before would not survive: they go on
// serving while a database is migrated, and come back when an upgrade is rolled back.
package migrations

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Read finds the migrations below a checkout, by file name.
func Read(checkout string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(checkout, "services"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case filepath.Ext(path) != ".sql":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(checkout, path)
		found[name] = string(text)
		return err
	})
	if err == nil && len(found) == 0 {
		err = errors.New("no migrations in " + checkout)
	}
	return found, err
}

// WithoutComments leaves out the lines that databases do not see; goose's own stay.
func WithoutComments(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "--") || strings.HasPrefix(line, "-- +goose") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// statement is one of the way up, with what is said above it.
type statement struct{ sql, comment string }

// up splits the part of a file that is run on the way up. White space is made one blank.
func up(text string) []statement {
	text, _, _ = strings.Cut(text, "-- +goose Down")
	var all []statement
	var sql, comment strings.Builder
	quote, block := "", false // inside of '…' or $$…$$; inside of goose's StatementBegin and -End
	end := func() {
		if s := strings.Join(strings.Fields(sql.String()), " "); s != "" {
			all = append(all, statement{s, comment.String()})
			comment.Reset()
		}
		sql.Reset()
	}
	for line := range strings.Lines(text) {
		if quote == "" && strings.HasPrefix(strings.TrimSpace(line), "--") {
			switch mark := strings.TrimSpace(line); mark {
			case "-- +goose StatementBegin":
				block = true
			case "-- +goose StatementEnd":
				block = false
				end()
			default:
				comment.WriteString(mark + "\n")
			}
			continue
		}
		for rest := line; rest != ""; {
			at := strings.IndexAny(rest, "'$;-")
			if at < 0 {
				sql.WriteString(rest)
				break
			}
			sql.WriteString(rest[:at])
			token := rest[at : at+1]
			if two := rest[at:min(at+2, len(rest))]; two == "$$" || two == "--" {
				token = two
			}
			if token == "--" && quote == "" {
				break
			}
			rest = rest[at+len(token):]
			switch {
			case token == ";" && quote == "" && !block:
				end()
				continue
			case token == quote:
				quote = ""
			case quote == "" && (token == "'" || token == "$$"):
				quote = token
			}
			sql.WriteString(token)
		}
	}
	end()
	return all
}
