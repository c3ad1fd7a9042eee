package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// tryEvery is how often the write lock of a file is tried: between two transactions of a busy service it is free for a
// millisecond or so.
const tryEvery = time.Millisecond

// file is a view of a SQLite file.
type file struct {
	db           *sql.DB
	lock, reader *sql.Conn
	holds        bool
}

// fileURI is the address of a file, which must be there.
func fileURI(path, query string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query
}

func openFile(ctx context.Context, p Part) (view, error) {
	db, err := sql.Open("sqlite", fileURI(p.path(), "mode=rw"))
	if err != nil {
		return nil, err
	}
	f := &file{db: db}
	if f.lock, err = db.Conn(ctx); err == nil {
		f.reader, err = db.Conn(ctx)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *file) hold(ctx context.Context) error {
	tick := time.NewTicker(tryEvery)
	defer tick.Stop()
	for {
		// It answers at once, and an answer that came too late would leave the lock.
		_, err := f.lock.ExecContext(context.WithoutCancel(ctx), "BEGIN IMMEDIATE")
		if err == nil {
			f.holds = true
			return nil
		}
		if !busy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(errHeld, err)
		case <-tick.C:
		}
	}
}

func busy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlitelib.SQLITE_BUSY
}

func (f *file) pin(ctx context.Context) error {
	if _, err := f.reader.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	var n int // the first read takes the snapshot
	return f.reader.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
}

func (f *file) release() error {
	if !f.holds {
		return nil
	}
	f.holds = false
	// Others wait for this, so it does not end with anybody's context.
	_, err := f.lock.ExecContext(context.Background(), "ROLLBACK")
	return err
}

func (f *file) copy(ctx context.Context, to string) error {
	if err := writeFile(to, strings.NewReader("")); err != nil { // SQLite would let others read it
		return err
	}
	err := f.reader.Raw(func(conn any) error {
		source, ok := conn.(interface {
			NewBackup(uri string) (*sqlite.Backup, error)
		})
		if !ok {
			return errors.New("the driver of SQLite cannot copy")
		}
		b, err := source.NewBackup(fileURI(to, "mode=rw"))
		if err != nil {
			return err
		}
		_, err = b.Step(-1) // all of it, from the snapshot of the transaction
		return errors.Join(err, b.Finish())
	})
	if err != nil {
		return err
	}
	return integrity(ctx, to)
}

// integrity reads a whole file that nobody has open.
func integrity(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", fileURI(path, "mode=ro&immutable=1"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was only read
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("the copy is damaged, so the database may be: %s", verdict)
	}
	return nil
}

func (f *file) close() {
	for _, c := range []*sql.Conn{f.reader, f.lock} {
		if c != nil {
			_ = c.Close() // ends its transaction
		}
	}
	_ = f.db.Close() // nothing was written
}

// inUse tells whether anybody has a file open.
func inUse(ctx context.Context, path string) (bool, error) {
	db, err := sql.Open("sqlite", fileURI(path, "mode=rw&_pragma=locking_mode(EXCLUSIVE)"))
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }() // nothing was written
	_, err = db.ExecContext(ctx, "BEGIN IMMEDIATE; ROLLBACK")
	if busy(err) {
		return true, nil
	}
	return false, err
}
