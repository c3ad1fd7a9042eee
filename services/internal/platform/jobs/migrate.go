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
	ExistingVersions(ctx context.Context) ([]rivermigrate.Migration, error)
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
	existing, err := m.ExistingVersions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("jobs: %w", err)
	}
	for _, v := range existing {
		have = max(have, int64(v.Version))
	}
	for _, v := range m.AllVersions() {
		want = max(want, int64(v.Version))
	}
	return have, want, nil
}

// Key implements store.Migrator.
func (riverMigrator) Key() string { return "river v0.31.0, two indexes less" }
