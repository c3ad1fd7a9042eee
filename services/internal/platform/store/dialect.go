package store

import (
	"encoding/json"
	"strconv"
)

// Dialect names the SQL that must differ between the engines.
type Dialect struct{ engine Engine }

// Name is the engine's name: "sqlite" or "postgres".
func (d Dialect) Name() string { return string(d.engine) }

func (d Dialect) pick(postgres, sqlite string) string {
	if d.engine == Postgres {
		return postgres
	}
	return sqlite
}

// ForUpdate locks the rows of a SELECT until the transaction ends. Empty on SQLite, where one transaction writes at a time.
func (d Dialect) ForUpdate() string { return d.pick(" FOR UPDATE", "") }

// ForUpdateSkipLocked locks the rows of a SELECT and passes over rows that others have locked. Empty on SQLite.
func (d Dialect) ForUpdateSkipLocked() string { return d.pick(" FOR UPDATE SKIP LOCKED", "") }

// ForShare keeps the rows of a SELECT from being changed until the transaction ends. Empty on SQLite.
func (d Dialect) ForShare() string { return d.pick(" FOR SHARE", "") }

// XIDArg casts a parameter or expression to xid8, and XIDText reads such a column as decimal text; on SQLite they give an
// integer and its text. Beware of ORDER BY with an alias: XIDText(xid) AS xid makes ORDER BY xid compare text; write the
// table's name before it.
func (d Dialect) XIDArg(expr string) string {
	return d.pick("CAST("+expr+" AS xid8)", "CAST("+expr+" AS INTEGER)")
}

// XIDText reads an xid8 column as decimal text.
func (d Dialect) XIDText(expr string) string { return "CAST(" + expr + " AS TEXT)" }

// In is the predicate that expr is one of a list of strings, given as the one argument number param made by Strings.
// The statement's text does not depend on the length of the list. On PostgreSQL a uuid column is written CAST(id AS TEXT),
// or pass its type by InUUID.
func (d Dialect) In(expr string, param int) string {
	p := "$" + strconv.Itoa(param)
	return d.pick(expr+" = ANY("+p+"::text[])", expr+" IN (SELECT value FROM json_each("+p+"))")
}

// InUUID is In for a column of ids: uuid on PostgreSQL, TEXT on SQLite.
func (d Dialect) InUUID(expr string, param int) string {
	p := "$" + strconv.Itoa(param)
	return d.pick(expr+" = ANY("+p+"::uuid[])", expr+" IN (SELECT value FROM json_each("+p+"))")
}

// HasBytes is the predicate that a column of bytes contains those of the argument number param.
func (d Dialect) HasBytes(column string, param int) string {
	p := "$" + strconv.Itoa(param)
	return d.pick("position("+p+"::bytea IN "+column+") > 0", "instr("+column+", "+p+") > 0")
}

// Strings makes the argument that In and InUUID expect.
func (d Dialect) Strings(values []string) any {
	if values == nil {
		values = []string{}
	}
	if d.engine == Postgres {
		return values
	}
	b, _ := json.Marshal(values) // strings always marshal
	return string(b)
}

// Lock queues a lock on a name that is held until the transaction ends: transactions that lock the same name follow one
// another. Statements sent after it see what the previous holder committed. It costs no round trip of its own, and nothing
// on SQLite, where one transaction writes at a time. Distinct names may rarely share a lock.
func Lock(tx Tx, name string) {
	if tx.Dialect().engine == Postgres {
		tx.Queue("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)
	}
}
