package apikey

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

//go:embed migrations
var files embed.FS

// Sets are all migrations of the database of keys.
func Sets() []store.Migrations {
	sub, err := fs.Sub(files, "migrations")
	if err != nil { // the folder is embedded above
		panic(err)
	}
	return []store.Migrations{idempotency.Migrations, {Name: "gateway", FS: sub}}
}

type row struct {
	ID, Prefix, Name, Roles, Departments      string
	SecretHash                                []byte
	ReadOnly                                  bool
	CreatedAt, ExpiresAt                      time.Time
	LastUsedAt, RevokedAt                     *time.Time
	CreatedByKind, CreatedByID, CreatedByName string
	RevokedByKind, RevokedByID, RevokedByName string
}

const columns = `CAST(id AS TEXT) AS id, prefix, name, roles, departments, secret_hash, read_only, created_at, expires_at,
	last_used_at, revoked_at, created_by_kind, created_by_id, created_by_name, revoked_by_kind, revoked_by_id, revoked_by_name`

func (r row) key() Key {
	return Key{
		ID: r.ID, Prefix: r.Prefix, Name: r.Name, Hash: r.SecretHash, Roles: split[access.Role](r.Roles),
		Departments: split[access.Department](r.Departments), ReadOnly: r.ReadOnly, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
		LastUsedAt: when(r.LastUsedAt), RevokedAt: when(r.RevokedAt),
		CreatedBy: access.Actor{Kind: access.Kind(r.CreatedByKind), ID: r.CreatedByID, Name: r.CreatedByName},
		RevokedBy: access.Actor{Kind: access.Kind(r.RevokedByKind), ID: r.RevokedByID, Name: r.RevokedByName},
	}
}

func when(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func split[T ~string](text string) []T {
	var out []T
	for part := range strings.SplitSeq(text, ",") {
		if part != "" {
			out = append(out, T(part))
		}
	}
	return out
}

func join[T ~string](of []T) string {
	parts := make([]string, len(of))
	for i, v := range of {
		parts[i] = string(v)
	}
	return strings.Join(parts, ",")
}

func insert(tx store.Tx, k Key) {
	tx.Queue(`INSERT INTO api_keys (id, prefix, secret_hash, name, roles, departments, read_only, created_at, created_by_kind,
			created_by_id, created_by_name, expires_at, revoked_by_kind, revoked_by_id, revoked_by_name)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', '', '')`,
		k.ID, k.Prefix, k.Hash, k.Name, join(k.Roles), join(k.Departments), k.ReadOnly, k.CreatedAt,
		string(k.CreatedBy.Kind), k.CreatedBy.ID, k.CreatedBy.Name, k.ExpiresAt)
}

func get(ctx context.Context, tx store.Tx, id string) (Key, error) {
	r, err := store.Get[row](ctx, tx, `SELECT `+columns+` FROM api_keys WHERE id = $1`, id)
	if errors.Is(err, store.ErrNoRows) {
		return Key{}, problem.NotFound("api-key", id)
	}
	return r.key(), err
}

// find looks a key up by how it begins; ok is false when there is none.
func find(ctx context.Context, tx store.Tx, prefix string) (k Key, ok bool, err error) {
	r, err := store.Get[row](ctx, tx, `SELECT `+columns+` FROM api_keys WHERE prefix = $1`, prefix)
	if errors.Is(err, store.ErrNoRows) {
		return Key{}, false, nil
	}
	return r.key(), err == nil, err
}

func list(ctx context.Context, tx store.Tx, more bool, after string, limit int) ([]Key, error) {
	sql, args := `SELECT `+columns+` FROM api_keys`, []any{}
	if more {
		sql, args = sql+` WHERE id < $1`, append(args, after)
	}
	rows, err := store.Select[row](ctx, tx, sql+` ORDER BY id DESC LIMIT `+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(rows))
	for i, r := range rows {
		keys[i] = r.key()
	}
	return keys, nil
}

// revoke keeps the first revocation.
func revoke(ctx context.Context, tx store.Tx, id string, by access.Actor, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE api_keys SET revoked_at = $1, revoked_by_kind = $2, revoked_by_id = $3, revoked_by_name = $4
		WHERE id = $5 AND revoked_at IS NULL`, now, string(by.Kind), by.ID, by.Name, id)
	return err
}

func used(ctx context.Context, tx store.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`, now, id)
	return err
}
