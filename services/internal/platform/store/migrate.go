package store

import (
	"context"
	"io/fs"
)

// Migrations is a named set of goose SQL files in the folders postgres/ and sqlite/ of FS, 0001_….sql and on. Sets of one
// database have version tables of their own (goose_<Name>), so a platform package brings its set beside a department's.
type Migrations struct {
	// Name is lower-case letters, digits and underscores, unique in the database.
	Name string
	FS   fs.FS
}

// SetStatus tells how far a set of migrations is applied.
type SetStatus struct {
	Name string
	// Have is the newest version in the database, 0 when none; Want the newest in the program.
	Have, Want int64
}

// Behind tells whether the database lacks migrations that the program has.
func (s SetStatus) Behind() bool { return s.Have < s.Want }

// Migrate applies what is missing, set by set in the given order. Several replicas may call it at once: one works, the
// others wait and find nothing to do.
func (db *DB) Migrate(ctx context.Context, sets ...Migrations) error {
	return db.migrate(ctx, sets)
}

// SchemaStatus compares the database with the program and changes nothing: readiness reports the sets that are behind.
func (db *DB) SchemaStatus(ctx context.Context, sets ...Migrations) ([]SetStatus, error) {
	return db.schemaStatus(ctx, sets)
}
