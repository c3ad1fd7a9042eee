package people

import (
	"context"
	"slices"
	"strings"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Unlisted finds what the list of tables of a department lacks: a column in the schema that is called person_id or
// account_id, or ends so, and that no table names; and tables or columns that are named and are not in the schema. Each
// department has a test that it finds nothing.
func Unlisted(ctx context.Context, db *store.DB, tables []Table) ([]string, error) {
	sql := `SELECT m.name AS "table", c.name AS "column" FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c
		WHERE m.type = 'table'`
	if db.Engine() == store.Postgres {
		sql = `SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns
			WHERE table_schema = current_schema()`
	}
	type column struct{ Table, Column string }
	schema, err := store.Read(ctx, db, func(tx store.Tx) ([]column, error) { return store.Select[column](ctx, tx, sql) })
	if err != nil {
		return nil, err
	}
	all := slices.Concat(Shared(), tables)
	var wrong []string
	for _, c := range schema {
		if !strings.HasSuffix(c.Column, "person_id") && !strings.HasSuffix(c.Column, "account_id") {
			continue
		}
		if !slices.ContainsFunc(all, func(t Table) bool { return t.Name == c.Table && (t.Person == c.Column || t.Account == c.Column) }) {
			wrong = append(wrong, c.Table+"."+c.Column+" is in no list of tables: merges and erasures would pass it over")
		}
	}
	for _, t := range all {
		for _, name := range append(append(t.columns(), t.Key...), t.Person, t.Account, t.By, t.Mail, t.Journey) {
			if name != "" && !slices.Contains(schema, column{t.Name, name}) {
				wrong = append(wrong, t.Name+"."+name+" is listed, and is not in the schema")
			}
		}
		if t.Of != "" && !slices.ContainsFunc(all, func(o Table) bool { return o.Name == t.Of }) {
			wrong = append(wrong, t.Name+" hangs on "+t.Of+", which is not listed")
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}
