package leadimport

import (
	"context"
	"errors"
	"strconv"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const selectImport = `
SELECT CAST(id AS TEXT), filename, state, encoding, source, dry_run, size_bytes, total_rows, processed_rows, created_count,
	duplicate_count, excluded_count, invalid_count, columns, error, created_at, finished_at, created_by_kind, created_by_id,
	created_by_name
FROM lead_imports`

func scan(row store.Row) (*Import, error) {
	var i Import
	var columns store.JSON[[]column]
	var fail store.JSON[*failure]
	err := row.Scan(&i.ID, &i.Filename, (*string)(&i.State), &i.Encoding, &i.Source, &i.DryRun, &i.SizeBytes, &i.Total, &i.Processed,
		&i.Created, &i.Duplicate, &i.Excluded, &i.Invalid, &columns, &fail, &i.CreatedAt, &i.FinishedAt,
		(*string)(&i.CreatedBy.Kind), &i.CreatedBy.ID, &i.CreatedBy.Name)
	i.Columns, i.Error = columns.V, fail.V
	return &i, err
}

func one(row store.Row, id string) (*Import, error) {
	i, err := scan(row)
	if errors.Is(err, store.ErrNoRows) {
		return nil, problem.NotFound("lead-import", id)
	}
	return i, err
}

func get(ctx context.Context, tx store.Tx, id string) (*Import, error) {
	return one(tx.QueryRow(ctx, selectImport+" WHERE id = $1", id), id)
}

func getForUpdate(ctx context.Context, tx store.Tx, id string) (*Import, error) {
	return one(tx.QueryRow(ctx, selectImport+" WHERE id = $1"+tx.Dialect().ForUpdate(), id), id)
}

func list(ctx context.Context, tx store.Tx, more bool, after string, limit int) ([]*Import, error) {
	sql, args := selectImport, []any(nil)
	if more {
		sql, args = sql+" WHERE id < $1", []any{after}
	}
	rows, err := tx.Query(ctx, sql+" ORDER BY id DESC LIMIT "+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var imports []*Import
	for rows.Next() {
		i, err := scan(rows)
		if err != nil {
			return nil, err
		}
		imports = append(imports, i)
	}
	return imports, rows.Err()
}

func insert(tx store.Tx, i *Import, content []byte) {
	tx.Queue(`INSERT INTO lead_imports (id, filename, state, encoding, source, dry_run, size_bytes, total_rows, processed_rows,
		created_count, duplicate_count, excluded_count, invalid_count, columns, created_at, created_by_kind, created_by_id,
		created_by_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, 0, $9, $10, $11, $12, $13)`,
		i.ID, i.Filename, string(i.State), i.Encoding, i.Source, i.DryRun, i.SizeBytes, i.Total, store.JSONOf(i.Columns), i.CreatedAt,
		string(i.CreatedBy.Kind), i.CreatedBy.ID, i.CreatedBy.Name)
	tx.Queue(`INSERT INTO lead_import_files (import_id, content) VALUES ($1, $2)`, i.ID, content)
}

func update(tx store.Tx, i *Import) {
	tx.Queue(`UPDATE lead_imports SET state = $2, processed_rows = $3, created_count = $4, duplicate_count = $5, excluded_count = $6,
		invalid_count = $7, error = $8, finished_at = $9 WHERE id = $1`,
		i.ID, string(i.State), i.Processed, i.Created, i.Duplicate, i.Excluded, i.Invalid, store.JSONOf(i.Error), i.FinishedAt)
}

func content(ctx context.Context, tx store.Tx, id string) ([]byte, error) {
	return store.Get[[]byte](ctx, tx, `SELECT content FROM lead_import_files WHERE import_id = $1`, id)
}

// dropContent forgets the file of an import that has ended.
func dropContent(tx store.Tx, id string) {
	tx.Queue(`DELETE FROM lead_import_files WHERE import_id = $1`, id)
}

// rowResult is what became of one row.
type rowResult struct {
	Row, Line          int64
	Outcome            Outcome
	LeadID             string
	Problems, Warnings []issue
}

var rowColumns = []string{"import_id", "row_no", "line", "outcome", "lead_id", "problems", "warnings"}

func insertRows(ctx context.Context, tx store.Tx, importID string, results []rowResult) error {
	rows := make([][]any, len(results))
	for i, r := range results {
		var leadID any
		if r.LeadID != "" {
			leadID = r.LeadID
		}
		rows[i] = []any{importID, r.Row, r.Line, string(r.Outcome), leadID, issues(r.Problems), issues(r.Warnings)}
	}
	return store.Copy(ctx, tx, "lead_import_rows", rowColumns, rows)
}

func issues(list []issue) any {
	if len(list) == 0 {
		return nil
	}
	return store.JSONOf(list)
}

func listRows(ctx context.Context, tx store.Tx, importID string, outcomes []string, after int64, limit int) ([]rowResult, error) {
	d := tx.Dialect()
	sql, args := `SELECT row_no, line, outcome, COALESCE(CAST(lead_id AS TEXT), ''), problems, warnings
		FROM lead_import_rows WHERE import_id = $1 AND row_no > $2`, []any{importID, after}
	if len(outcomes) > 0 {
		sql, args = sql+" AND "+d.In("outcome", 3), append(args, d.Strings(outcomes))
	}
	rows, err := tx.Query(ctx, sql+" ORDER BY row_no LIMIT "+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var results []rowResult
	for rows.Next() {
		var r rowResult
		var problems, warnings store.JSON[[]issue]
		if err := rows.Scan(&r.Row, &r.Line, (*string)(&r.Outcome), &r.LeadID, &problems, &warnings); err != nil {
			return nil, err
		}
		r.Problems, r.Warnings = problems.V, warnings.V
		results = append(results, r)
	}
	return results, rows.Err()
}

// sender is who the leads of an import are captured by.
func (i *Import) sender(ctx context.Context) context.Context {
	return access.WithActor(ctx, i.CreatedBy)
}
