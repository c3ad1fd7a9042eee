package testkit

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// column is a column as both engines describe it.
type column struct {
	Name string
	Null bool
	Kind string
}

// SchemasMatch applies the sets on both engines and fails on any difference in tables, columns, their nullability or the
// kind of their values. Version tables are left out. Note that SQLite takes NULL for a PRIMARY KEY that is not declared
// NOT NULL.
func SchemasMatch(t *testing.T, sets ...store.Migrations) {
	t.Helper()
	if diff := schemaDiff(t, SQLite(t, sets...), Postgres(t, sets...)); diff != "" {
		t.Errorf("the schemas differ (- SQLite, + PostgreSQL):\n%s", diff)
	}
}

func schemaDiff(t *testing.T, sqlite, postgres *store.DB) string {
	t.Helper()
	lite := tables(t, sqlite, `SELECT m.name AS "table", c.name AS "column", c.type AS kind,
		CASE WHEN c."notnull" = 1 OR (c.pk = 1 AND upper(c.type) = 'INTEGER') THEN 0 ELSE 1 END AS "null"
		FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE 'goose%'`)
	pg := tables(t, postgres, `SELECT c.table_name AS "table", c.column_name AS "column", CASE c.udt_name WHEN 'timestamp' THEN 'timestamp without time zone' ELSE c.udt_name END AS kind,
		CASE WHEN c.is_nullable = 'YES' THEN 1 ELSE 0 END AS "null"
		FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
		WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.table_name NOT LIKE 'goose%'`)
	return cmp.Diff(lite, pg)
}

func tables(t *testing.T, db *store.DB, sql string) map[string][]column {
	t.Helper()
	type row struct {
		Table, Column, Kind string
		Null                int64
	}
	ctx := context.Background()
	rows, err := store.Read(ctx, db, func(tx store.Tx) ([]row, error) { return store.Select[row](ctx, tx, sql) })
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]column{}
	for _, r := range rows {
		out[r.Table] = append(out[r.Table], column{r.Column, r.Null == 1, kind(r.Kind)})
	}
	for _, columns := range out {
		sort.Slice(columns, func(i, j int) bool { return columns[i].Name < columns[j].Name })
	}
	return out
}

// kinds maps declared types to what both engines can mean by them. Ids, JSON and calendar dates are text in SQLite.
var kinds = map[string]string{
	"text": "text", "varchar": "text", "uuid": "text", "jsonb": "text", "json": "text", "bpchar": "text",
	"timestamptz": "time", "timestamp": "time", "datetime": "time",
	"int2": "integer", "int4": "integer", "int8": "integer", "xid8": "integer",
	"integer": "integer", "bigint": "integer", "smallint": "integer", "int": "integer",
	"bool": "boolean", "boolean": "boolean",
	"bytea": "bytes", "blob": "bytes",
	"float4": "float", "float8": "float", "real": "float", "double": "float", "double precision": "float",
}

func kind(declared string) string {
	name, _, _ := strings.Cut(strings.ToLower(declared), "(")
	if k, ok := kinds[strings.TrimSpace(name)]; ok {
		return k
	}
	return fmt.Sprintf("%s (unknown to testkit)", declared)
}
