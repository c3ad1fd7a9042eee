package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// stagingName is the folder, within the data folder, where a restore prepares files.
const stagingName = "restoring"

// RestoreOptions of Restore.
type RestoreOptions struct {
	From string
	// Parts are the databases to bring back and where. Those that the backup does not have are an error.
	Parts []Part
	// Files are the names of the other files to bring back.
	Files []string
	// Data is the folder of SQLite files and of Files.
	Data string
	// PgRestore is PostgreSQL's program, for instance `pg_restore`.
	PgRestore string
}

// Restore brings databases back to where there are none, up to date with this program, and lets their feeds leap. It checks what
// it can before it begins. If it fails on SQLite, nothing is in place.
func Restore(ctx context.Context, o RestoreOptions) (*Manifest, error) {
	m, err := Read(o.From)
	if err != nil {
		return nil, err
	}
	if err := o.check(ctx, m); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Data, 0o750); err != nil {
		return nil, err
	}
	staging := filepath.Join(o.Data, stagingName)
	if err := os.Mkdir(staging, 0o700); err != nil {
		return nil, fmt.Errorf("%w: another restore is at work, or was killed; delete the folder then", err)
	}
	err = o.restore(ctx, m, staging)
	return m, errors.Join(err, os.RemoveAll(staging))
}

func (o RestoreOptions) restore(ctx context.Context, m *Manifest, staging string) error {
	var ready []string
	var err error
	for _, p := range o.Parts {
		d := m.database(p.Name)
		if p.engine() == store.SQLite {
			ready = append(ready, filepath.Base(p.path()))
			p.DSN = "sqlite:" + filepath.Join(staging, filepath.Base(p.path()))
			if err := copyFile(filepath.Join(o.From, d.File.Name), p.path()); err != nil {
				return err
			}
		} else if p.DSN, err = o.restoreDump(ctx, p.DSN, d); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if err := settle(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	for _, name := range o.Files {
		ready = append(ready, name)
		if err := copyFile(filepath.Join(o.From, name), filepath.Join(staging, name)); err != nil {
			return err
		}
	}
	if err := syncFile(staging); err != nil {
		return err
	}
	for _, name := range ready {
		if err := os.Rename(filepath.Join(staging, name), filepath.Join(o.Data, name)); err != nil {
			return err
		}
	}
	return syncFile(o.Data)
}

// restoreDump fills a PostgreSQL database, in the name of its owner, and returns a DSN that works in that name.
func (o RestoreOptions) restoreDump(ctx context.Context, dsn string, d *Database) (string, error) {
	ownerDSN, owner, err := asOwner(ctx, dsn)
	if err != nil {
		return "", err
	}
	return ownerDSN, postgresProgram(ctx, dsn, o.PgRestore, "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges",
		"--role="+owner, filepath.Join(o.From, d.File.Name))
}

// settle brings a restored database up to date and lets its feed go on where readers miss nothing.
func settle(ctx context.Context, p Part) error {
	db, err := store.Open(ctx, p.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Migrate(ctx, p.Sets...); err != nil || !p.Feed {
		return err
	}
	_, err = event.Resume(ctx, db, true, time.Now())
	return err
}

// check fails when anything is in the way.
func (o RestoreOptions) check(ctx context.Context, m *Manifest) error {
	for _, p := range o.Parts {
		d := m.database(p.Name)
		if d == nil {
			return fmt.Errorf("the backup has no %s", p.Name)
		}
		if d.Engine != p.engine() {
			return fmt.Errorf("%s was copied from %s and cannot be restored to %s", p.Name, d.Engine, p.engine())
		}
		if err := o.notNewer(ctx, d, p); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if p.engine() == store.Postgres {
			if err := emptyDatabase(ctx, p.DSN); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
		} else if _, err := os.Lstat(p.path()); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s is there: a restore overwrites nothing, so move it away", p.path()), err)
		}
	}
	for _, name := range o.Files {
		if !slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == name }) {
			return fmt.Errorf("the backup has no %s", name)
		}
		if _, err := os.Lstat(filepath.Join(o.Data, name)); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s is there: a restore overwrites nothing, so move it away", filepath.Join(o.Data, name)), err)
		}
	}
	return o.idle(ctx)
}

// idle fails when anything works on the data folder.
func (o RestoreOptions) idle(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(o.Data, "*.db"))
	if err != nil {
		return err
	}
	for _, path := range files {
		used, err := inUse(ctx, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if used {
			return fmt.Errorf("%s is in use: stop what runs on %s first", path, o.Data)
		}
	}
	return nil
}

// notNewer fails when a newer program has written what the backup has.
func (o RestoreOptions) notNewer(ctx context.Context, d *Database, p Part) error {
	// The versions that this program wants are known by any database.
	dir, err := os.MkdirTemp("", "tasuki-restore-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // only space is lost
	dsn := p.DSN
	if p.engine() == store.SQLite {
		dsn = "sqlite:" + filepath.Join(dir, "empty.db")
	}
	db, err := store.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	statuses, err := db.SchemaStatus(ctx, p.Sets...)
	if err != nil {
		return err
	}
	for _, s := range statuses {
		if have := d.Schema[s.Name]; have > s.Want {
			return fmt.Errorf("the backup is of a newer program (%s %d, this one knows %d): restore it with that one", s.Name, have, s.Want)
		}
	}
	return nil
}

func (m *Manifest) database(name string) *Database {
	for i, d := range m.Databases {
		if d.Name == name {
			return &m.Databases[i]
		}
	}
	return nil
}
