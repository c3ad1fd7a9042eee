package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/version"
)

// holdFor is how long writers of the first databases wait at the most for those of the last to come to an end: less than the
// busy timeout of SQLite, so that nobody's command fails.
var holdFor = 2 * time.Second

// holdTries is how often that is tried before a backup is given up.
const holdTries = 10

// Part is one database of the house.
type Part struct {
	Name string
	// DSN is `sqlite:PATH` or `postgres://…`.
	DSN string
	// Sets are its migrations.
	Sets []store.Migrations
	// Feed tells that it has the tables of package event.
	Feed bool
}

func (p Part) engine() store.Engine {
	if strings.HasPrefix(p.DSN, "sqlite:") {
		return store.SQLite
	}
	return store.Postgres
}

// path is the file of a SQLite database.
func (p Part) path() string { return strings.TrimPrefix(p.DSN, "sqlite:") }

// Options of Take.
type Options struct {
	Parts []Part
	// Files are copied as they are, by their base names.
	Files []string
	// To is the folder to make; it may be there, if it is empty.
	To string
	// PgDump and PgRestore are PostgreSQL's programs, for instance `pg_dump` and `pg_restore`.
	PgDump, PgRestore string
}

// view is a database on its way from being held to being copied.
type view interface {
	// hold keeps everybody from writing what others may learn of; it waits for those who do.
	hold(ctx context.Context) error
	// pin freezes what copy will copy.
	pin(ctx context.Context) error
	// release lets them write again; it may be called when nothing is held.
	release() error
	copy(ctx context.Context, to string) error
	close()
}

// errHeld says that somebody has written for too long.
var errHeld = errors.New("somebody writes all the time")

// Take copies all parts as they are at one moment. A backup that fails leaves nothing behind.
func Take(ctx context.Context, o Options) (_ *Manifest, err error) {
	if entries, err := os.ReadDir(o.To); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: a backup overwrites nothing", o.To)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(o.To)), 0o700); err != nil {
		return nil, err
	}
	partial := filepath.Clean(o.To) + ".partial"
	if err := os.Mkdir(partial, 0o700); err != nil {
		return nil, fmt.Errorf("%w: another backup is at work, or was killed; delete the folder then", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	m := &Manifest{Format: manifestFormat, Program: version.String("tasuki")}
	for _, p := range o.Parts {
		schema, err := schemaOf(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		m.Databases = append(m.Databases, Database{Name: p.Name, Engine: p.engine(), Schema: schema})
	}
	views, err := open(ctx, o)
	defer func() {
		for _, v := range views {
			v.close()
		}
	}()
	if err != nil {
		return nil, err
	}
	if m.TakenAt, m.Held, err = freeze(ctx, o.Parts, views); err != nil {
		return nil, err
	}
	for i, v := range views {
		d := &m.Databases[i]
		path := filepath.Join(partial, d.Name+extension(d.Engine))
		if err := v.copy(ctx, path); err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, err)
		}
		if err := syncFile(path); err != nil {
			return nil, err
		}
		if d.File, err = describe(path); err != nil {
			return nil, err
		}
	}
	for _, from := range o.Files {
		to := filepath.Join(partial, filepath.Base(from))
		if err := copyFile(from, to); err != nil {
			return nil, err
		}
		f, err := describe(to)
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, f)
	}
	return m, finish(m, partial, o.To)
}

func finish(m *Manifest, partial, to string) error {
	if err := errors.Join(m.write(partial), syncFile(partial)); err != nil {
		return err
	}
	if err := os.Rename(partial, filepath.Clean(to)); err != nil { // over an empty folder, or none
		return err
	}
	return syncFile(filepath.Dir(filepath.Clean(to)))
}

func extension(e store.Engine) string {
	if e == store.SQLite {
		return ".db"
	}
	return ".dump"
}

// schemaOf tells the versions of a database that must be there.
func schemaOf(ctx context.Context, p Part) (map[string]int64, error) {
	if p.engine() == store.SQLite {
		if _, err := os.Stat(p.path()); err != nil { // opening would make it
			return nil, err
		}
	}
	db, err := store.Open(ctx, p.DSN)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	statuses, err := db.SchemaStatus(ctx, p.Sets...)
	if err != nil {
		return nil, err
	}
	schema := map[string]int64{}
	for _, s := range statuses {
		if s.Have == 0 {
			return nil, fmt.Errorf("the database has no tables of %s: is this the right one?", s.Name)
		}
		schema[s.Name] = s.Have
	}
	return schema, nil
}

func open(ctx context.Context, o Options) ([]view, error) {
	var views []view
	for _, p := range o.Parts {
		var v view
		var err error
		if p.engine() == store.SQLite {
			v, err = openFile(ctx, p)
		} else {
			v, err = openServer(ctx, p, o)
		}
		if err != nil {
			return views, fmt.Errorf("%s: %w", p.Name, err)
		}
		views = append(views, v)
	}
	return views, nil
}

// freeze pins all views at one moment.
func freeze(ctx context.Context, parts []Part, views []view) (at time.Time, held Duration, err error) {
	for range holdTries {
		at, held, err = freezeOnce(ctx, parts, views)
		if !errors.Is(err, errHeld) {
			return at, held, err
		}
	}
	return at, held, err
}

func freezeOnce(ctx context.Context, parts []Part, views []view) (at time.Time, held Duration, err error) {
	began := time.Now()
	defer func() {
		for i, v := range views {
			if rerr := v.release(); rerr != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", parts[i].Name, rerr))
			}
		}
		held = Duration(time.Since(began))
	}()
	waiting, cancel := context.WithDeadline(ctx, began.Add(holdFor))
	defer cancel()
	for i, v := range views {
		if err := v.hold(waiting); err != nil {
			return at, 0, fmt.Errorf("%s: %w", parts[i].Name, err)
		}
	}
	at = time.Now().UTC()
	for i, v := range views {
		if err := v.pin(ctx); err != nil {
			return at, 0, fmt.Errorf("%s: %w", parts[i].Name, err)
		}
	}
	return at, 0, nil
}
