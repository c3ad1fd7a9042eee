package e2e

import (
	"bytes"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
)

func TestErasureLeavesNothingInSQLite(t *testing.T) {
	h := house.AllInOne(t)
	mail := scenario.Erase(t, h)
	for _, department := range []string{"marketing", "inside-sales", "field-sales", "customer-success"} {
		wantNowhere(t, "sqlite", "file:"+filepath.Join(h.Data, department+".db")+"?mode=ro", `SELECT m.name, c.name FROM sqlite_schema AS m
			JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'`, mail)
	}
}

func TestErasureLeavesNothingInPostgreSQL(t *testing.T) {
	dsns := house.Databases(t)
	h := house.Wire(t, dsns, house.Wiring{})
	mail := scenario.Erase(t, h)
	for _, dsn := range dsns {
		wantNowhere(t, "pgx", dsn, `SELECT table_name, column_name FROM information_schema.columns
			WHERE table_schema = current_schema()`, mail)
	}
}

// wantNowhere reads every column of every table, texts and bytes alike, and looks for the mail address.
func wantNowhere(t *testing.T, driver, dsn, columns, mail string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it was only read
	read := func(query string, take func(*sql.Rows) error) {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }() // read to its end
		for rows.Next() {
			if err := take(rows); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	var all [][2]string
	read(columns, func(rows *sql.Rows) error {
		var c [2]string
		all = append(all, c)
		last := &all[len(all)-1]
		return rows.Scan(&last[0], &last[1])
	})
	if len(all) < 50 {
		t.Fatalf("only %d columns were found", len(all))
	}
	values := 0
	for _, c := range all {
		read(fmt.Sprintf(`SELECT %q FROM %q`, c[1], c[0]), func(rows *sql.Rows) error {
			var v any
			if err := rows.Scan(&v); err != nil {
				return err
			}
			values++
			text, ok := v.([]byte)
			if !ok {
				text = fmt.Append(nil, v)
			}
			if bytes.Contains(text, []byte(mail)) {
				t.Errorf("%s.%s still has the mail address: %.300q", c[0], c[1], text)
			}
			return nil
		})
	}
	if values < 100 {
		t.Fatalf("only %d values were read", values)
	}
}
