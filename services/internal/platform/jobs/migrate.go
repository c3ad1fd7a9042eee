package jobs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// riverMigrator runs River's own migrations as a set of the store's.
type riverMigrator struct{}

var _ store.Migrator = riverMigrator{}

// migrator is what both instances of rivermigrate.Migrator have in common.
type migrator interface {
	Migrate(ctx context.Context, direction rivermigrate.Direction, opts *rivermigrate.MigrateOpts) (*rivermigrate.MigrateResult, error)
	AllVersions() []rivermigrate.Migration
}

func newMigrator(db *store.DB) (migrator, error) {
	cfg := &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)}
	if db.Engine() == store.Postgres {
		return rivermigrate.New(riverpgxv5.New(db.Pool()), cfg)
	}
	return rivermigrate.New(riversqlite.New(db.Writer()), cfg)
}

// Migrate implements store.Migrator.
func (riverMigrator) Migrate(ctx context.Context, db *store.DB) error {
	m, err := newMigrator(db)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	have, err := applied(ctx, db)
	if err != nil {
		return err
	}
	if have >= newest(m) { // River refuses tables that a program after this one has migrated
		return dropUnused(ctx, db)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return dropUnused(ctx, db)
}

// dropUnused drops indexes of River that only searches within arguments and metadata need, which nobody makes here. They are
// of the kind (GIN) that costs an insertion more than all the rest of it.
func dropUnused(ctx context.Context, db *store.DB) error {
	if db.Engine() != store.Postgres {
		return nil
	}
	_, err := db.Pool().Exec(ctx, `DROP INDEX IF EXISTS river_job_args_index, river_job_metadata_index`)
	if err != nil {
		return fmt.Errorf("jobs: drop unused indexes: %w", err)
	}
	return nil
}

// Status implements store.Migrator.
func (riverMigrator) Status(ctx context.Context, db *store.DB) (have, want int64, err error) {
	m, err := newMigrator(db)
	if err != nil {
		return 0, 0, fmt.Errorf("jobs: %w", err)
	}
	have, err = applied(ctx, db)
	return have, newest(m), err
}

// applied is the version of River's tables, 0 when there are none.
func applied(ctx context.Context, db *store.DB) (version int64, err error) {
	exists := `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'river_migration')`
	if db.Engine() == store.Postgres {
		exists = `SELECT to_regclass('river_migration') IS NOT NULL`
	}
	version, err = store.Read(ctx, db, func(tx store.Tx) (int64, error) {
		if there, err := store.Get[bool](ctx, tx, exists); err != nil || !there {
			return 0, err
		}
		return store.Get[int64](ctx, tx, `SELECT COALESCE(MAX(version), 0) FROM river_migration`)
	})
	if err != nil {
		return 0, fmt.Errorf("jobs: version of River's tables: %w", err)
	}
	return version, nil
}

// newest is the version that this program needs.
func newest(m migrator) (version int64) {
	for _, v := range m.AllVersions() {
		version = max(version, int64(v.Version))
	}
	return version
}

// Key implements store.Migrator.
func (riverMigrator) Key() string { return "river v0.31.0, two indexes less" }
