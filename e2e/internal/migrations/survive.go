package migrations

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// contract marks a step that the version before would not survive and that is right all the same, because no program that is still in
// use needs what it takes away: `-- contract v1.4: nothing reads it since v1.3`.
var contract = regexp.MustCompile(`(?m)^-- contract v\d+\.\d+(\.\d+)?: \S`)

// name is that of a table, column or index, quoted or not.
const name = `"?(\w+)"?`

var (
	createTable = regexp.MustCompile(`(?i)^CREATE (?:TEMP(?:ORARY)? )?TABLE (?:IF NOT EXISTS )?` + name)
	createIndex = regexp.MustCompile(`(?i)^CREATE (UNIQUE )?INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?` + name + ` ON ` + name)
	dropTable   = regexp.MustCompile(`(?i)^DROP TABLE (?:IF EXISTS )?` + name)
	dropIndex   = regexp.MustCompile(`(?i)^DROP INDEX (?:CONCURRENTLY )?(?:IF EXISTS )?` + name)
	alterTable  = regexp.MustCompile(`(?i)^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?` + name + ` (.*)$`)
	trigger     = regexp.MustCompile(`(?i)^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER (?:IF NOT EXISTS )?\w+ .*? ON ` + name)
	harmless    = regexp.MustCompile(`(?i)^(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE FUNCTION)\b`)

	addColumn  = regexp.MustCompile(`(?i)^ADD (?:COLUMN )?(?:IF NOT EXISTS )?` + name + ` `)
	addRule    = regexp.MustCompile(`(?i)^ADD (CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b`)
	notNull    = regexp.MustCompile(`(?i)\bNOT NULL\b`)
	hasDefault = regexp.MustCompile(`(?i)\b(DEFAULT (\(|'|[^N\s]|N[^U])|GENERATED )`)
	setDefault = regexp.MustCompile(`(?i)^ALTER (?:COLUMN )?` + name + ` SET DEFAULT `)
)

// Problems are the steps of a set of migrations, for one engine and by file name, that programs of the version before would not
// survive. What a file makes, it may do with as it likes.
func Problems(files map[string]string) []string {
	tables, unique := map[string]string{}, map[string]bool{} // by name: the file that made it; whether an index is unique
	var found []string
	for _, file := range slices.Sorted(maps.Keys(files)) {
		for _, s := range up(files[file]) {
			why := problem(s.sql, func(table string) bool { return tables[table] != "" && tables[table] != file }, unique)
			if m := createTable.FindStringSubmatch(s.sql); m != nil {
				tables[m[1]] = file
			}
			if m := createIndex.FindStringSubmatch(s.sql); len(m) > 0 && m[1] != "" {
				unique[m[2]] = true
			}
			if why != "" && !contract.MatchString(s.comment) {
				found = append(found, fmt.Sprintf("%s: %s: %s", file, s.sql, why))
			}
		}
	}
	return found
}

// problem says why the version before would not survive a statement; empty if it does. Tables that are not old are new to everybody.
func problem(sql string, old func(table string) bool, unique map[string]bool) string {
	if m := alterTable.FindStringSubmatch(sql); m != nil {
		if !old(m[1]) {
			return ""
		}
		for _, clause := range clauses(m[2]) {
			if why := altered(clause); why != "" {
				return why
			}
		}
		return ""
	}
	if m := createIndex.FindStringSubmatch(sql); m != nil {
		if m[1] != "" && old(m[3]) {
			return "what the version before writes may break it"
		}
		return ""
	}
	if m := dropIndex.FindStringSubmatch(sql); m != nil {
		if unique[m[1]] {
			return "the version before may rely on it (ON CONFLICT)"
		}
		return ""
	}
	if m := dropTable.FindStringSubmatch(sql); m != nil {
		if old(m[1]) {
			return "the version before uses it"
		}
		return ""
	}
	if m := trigger.FindStringSubmatch(sql); m != nil {
		if old(m[1]) {
			return "it may refuse what the version before writes"
		}
		return ""
	}
	if createTable.MatchString(sql) || harmless.MatchString(sql) {
		return ""
	}
	return "this test does not know what it does"
}

// altered says why the version before would not survive a clause of ALTER TABLE.
func altered(clause string) string {
	switch {
	case addRule.MatchString(clause):
		return "what the version before writes may break it"
	case addColumn.MatchString(clause):
		if notNull.MatchString(clause) && !hasDefault.MatchString(clause) {
			return "the version before does not fill it, and it has no default"
		}
		return ""
	case setDefault.MatchString(clause):
		return ""
	case strings.HasPrefix(strings.ToUpper(clause), "RENAME"):
		return "the version before knows the old name only"
	}
	return "the version before goes by what it was"
}

// clauses splits at the commas that are in no brackets.
func clauses(text string) []string {
	var all []string
	depth, from := 0, 0
	for at, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				all = append(all, strings.TrimSpace(text[from:at]))
				from = at + 1
			}
		}
	}
	return append(all, strings.TrimSpace(text[from:]))
}

// Sets groups files by their folder, which is one set for one engine.
func Sets(files map[string]string) map[string]map[string]string {
	sets := map[string]map[string]string{}
	for file, text := range files {
		folder := filepath.Dir(file)
		if sets[folder] == nil {
			sets[folder] = map[string]string{}
		}
		sets[folder][file] = text
	}
	return sets
}
