package migrations

import (
	"strings"
	"testing"
)

func TestTheVersionBeforeSurvives(t *testing.T) {
	files, err := Read("../../..")
	if err != nil {
		t.Fatal(err)
	}
	sets := Sets(files)
	for _, set := range sets {
		for _, problem := range Problems(set) {
			t.Error(problem)
		}
	}
	if t.Failed() {
		t.Log("CONTRIBUTING.md, Migrations, says what to do instead, and how to mark a contract step")
	}
	t.Logf("%d files in %d sets", len(files), len(sets))
}

func TestProblems(t *testing.T) {
	const first = `-- +goose Up
CREATE TABLE deals (id bigint PRIMARY KEY, note text DEFAULT ';--', state text);
CREATE INDEX deals_state ON deals (state);
CREATE UNIQUE INDEX deals_note ON deals (note);
-- +goose Down
DROP TABLE deals;
`
	for _, c := range []struct {
		second string
		fine   bool
	}{
		{`ALTER TABLE deals ADD COLUMN more text;`, true},
		{`ALTER TABLE deals ADD COLUMN more text NOT NULL DEFAULT '';`, true},
		{`ALTER TABLE deals ADD COLUMN more text NOT NULL DEFAULT 'a;b', ADD COLUMN n numeric(10, 2);`, true},
		{`ALTER TABLE deals ADD COLUMN more timestamptz NOT NULL DEFAULT now();`, true},
		{`ALTER TABLE deals ALTER COLUMN note SET DEFAULT '';`, true},
		{`CREATE TABLE more (id bigint); ALTER TABLE more ADD COLUMN x text NOT NULL; CREATE UNIQUE INDEX more_x ON more (x); DROP TABLE more;`, true},
		{`CREATE INDEX deals_more ON deals (id, state);`, true},
		{`DROP INDEX deals_state;`, true},
		{`UPDATE deals SET note = 'DROP TABLE deals';`, true},
		{"INSERT INTO deals (id) VALUES (1); -- DROP TABLE deals;\n", true},
		{"-- +goose Down\nDROP TABLE deals;", true},
		{"-- contract v1.4: nothing reads it since v1.3\nALTER TABLE deals DROP COLUMN note;", true},

		{`ALTER TABLE deals ADD COLUMN more text NOT NULL;`, false},
		{`alter table "deals" add more text not null;`, false},
		{`ALTER TABLE deals ADD COLUMN more text NOT NULL DEFAULT NULL;`, false},
		{`ALTER TABLE deals ADD COLUMN a text, ADD COLUMN b text NOT NULL;`, false},
		{`ALTER TABLE deals DROP COLUMN note;`, false},
		{`ALTER TABLE deals DROP note;`, false},
		{`ALTER TABLE deals DROP CONSTRAINT deals_pkey;`, false},
		{`ALTER TABLE deals RENAME COLUMN note TO notes;`, false},
		{`ALTER TABLE deals RENAME TO contracts;`, false},
		{"ALTER TABLE deals\n\tALTER COLUMN id TYPE text;", false},
		{`ALTER TABLE deals ALTER COLUMN note SET NOT NULL;`, false},
		{`ALTER TABLE deals ALTER COLUMN note DROP NOT NULL;`, false},
		{`ALTER TABLE deals ALTER COLUMN note DROP DEFAULT;`, false},
		{`ALTER TABLE deals ADD CONSTRAINT known CHECK (state <> '');`, false},
		{`CREATE UNIQUE INDEX deals_state_key ON deals (state);`, false},
		{`DROP INDEX deals_note;`, false},
		{`DROP TABLE deals;`, false},
		{`DROP TABLE IF EXISTS deals;`, false},
		{`CREATE TABLE again (id bigint); DROP TABLE deals; ALTER TABLE again RENAME TO deals;`, false},
		{"-- +goose StatementBegin\nCREATE TRIGGER refuse BEFORE INSERT ON deals BEGIN SELECT 1; END;\n-- +goose StatementEnd\n", false},
		{`TRUNCATE deals;`, false},
		{"-- contract: no version\nDROP TABLE deals;", false},
		{"-- contract v1.4: for the first only\nDROP INDEX deals_note;\nDROP TABLE deals;", false},
	} {
		second := c.second
		if !strings.Contains(second, "goose Down") {
			second = "-- +goose Up\n" + second
		}
		found := Problems(map[string]string{"0001_a.sql": first, "0002_b.sql": second})
		if (len(found) == 0) != c.fine {
			t.Errorf("%s\nfine %v, but found %q", c.second, c.fine, found)
		}
	}
}
