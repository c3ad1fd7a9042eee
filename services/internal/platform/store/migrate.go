package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pressly/goose/v3"
)

// Migrations is a named set of goose SQL files in the folders postgres/ and sqlite/ of FS, 0001_….sql and on. Sets of one
// database have version tables of their own (goose_<Name>), so a platform package brings its set beside a department's.
type Migrations struct {
	// Name is lower-case letters, digits and underscores, unique in the database.
	Name string
	FS   fs.FS
	// By migrates instead of the files in FS, for libraries that bring their own schema, such as River.
	By Migrator
}

// Migrator migrates by code.
type Migrator interface {
	// Migrate applies what is missing. No other replica runs it at the same time.
	Migrate(ctx context.Context, db *DB) error
	// Status tells the version the database has, 0 for none, and the one the program wants. It changes nothing.
	Status(ctx context.Context, db *DB) (have, want int64, err error)
	// Key changes whenever the resulting schema does.
	Key() string
}

// SetStatus tells how far a set of migrations is applied.
type SetStatus struct {
	Name string
	// Have is the newest version in the database, 0 when none; Want the newest in the program.
	Have, Want int64
}

// Behind tells whether the database lacks migrations that the program has.
func (s SetStatus) Behind() bool { return s.Have < s.Want }

var setName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

func (m Migrations) table() (string, error) {
	if !setName.MatchString(m.Name) {
		return "", fmt.Errorf("store: %q is no name for a set of migrations", m.Name)
	}
	return "goose_" + m.Name, nil
}

// Migrate applies what is missing, set by set in the given order. Several replicas may call it at once: one works, the
// others wait and find nothing to do. On PostgreSQL it takes two connections.
func (db *DB) Migrate(ctx context.Context, sets ...Migrations) error {
	sqlDB, release, err := db.be.migrationDB(ctx)
	if err != nil {
		return unavailable(err)
	}
	defer release()
	for _, set := range sets {
		table, err := set.table()
		if err != nil {
			return err
		}
		if set.By != nil {
			if err := set.By.Migrate(ctx, db); err != nil {
				return fmt.Errorf("store: migrate %s: %w", set.Name, interrupted(err))
			}
			continue
		}
		files, err := fs.Sub(set.FS, string(db.engine))
		if err != nil {
			return fmt.Errorf("store: migrations of %s: %w", set.Name, err)
		}
		dialect := goose.DialectSQLite3
		if db.engine == Postgres {
			dialect = goose.DialectPostgres
		}
		provider, err := goose.NewProvider(dialect, sqlDB, files,
			goose.WithTableName(table), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return fmt.Errorf("store: migrations of %s: %w", set.Name, err)
		}
		if _, err := provider.Up(ctx); err != nil {
			return fmt.Errorf("store: migrate %s: %w", set.Name, interrupted(err))
		}
	}
	return nil
}

// SchemaStatus compares the database with the program and changes nothing: readiness reports the sets that are behind.
func (db *DB) SchemaStatus(ctx context.Context, sets ...Migrations) ([]SetStatus, error) {
	out := make([]SetStatus, 0, len(sets))
	for _, set := range sets {
		table, err := set.table()
		if err != nil {
			return nil, err
		}
		status := SetStatus{Name: set.Name}
		if set.By != nil {
			status.Have, status.Want, err = set.By.Status(ctx, db)
		} else {
			if status.Want, err = newest(set.FS, string(db.engine)); err == nil {
				status.Have, err = db.applied(ctx, table)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("store: schema status of %s: %w", set.Name, interrupted(err))
		}
		out = append(out, status)
	}
	return out, nil
}

// newest is the highest version among the files of a folder.
func newest(files fs.FS, folder string) (int64, error) {
	names, err := fs.Glob(files, folder+"/*.sql")
	if err != nil {
		return 0, err
	}
	if len(names) == 0 {
		return 0, errors.New("no migrations in " + folder + "/")
	}
	var top int64
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		top = max(top, version)
	}
	return top, nil
}

// applied is the highest version in a version table, 0 when there is no such table.
func (db *DB) applied(ctx context.Context, table string) (int64, error) {
	exists := db.dialect.pick(
		"SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1",
		"SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1")
	return Read(ctx, db, func(tx Tx) (int64, error) {
		var n int64
		if err := tx.QueryRow(ctx, exists, table).Scan(&n); err != nil || n == 0 {
			return 0, err
		}
		err := tx.QueryRow(ctx, "SELECT COALESCE(max(version_id), 0) FROM "+quote(table)).Scan(&n)
		return n, err
	})
}
