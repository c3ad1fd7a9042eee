// Package store opens a service's database and runs transactions on it. Two engines stand behind one small interface:
// SQLite, embedded, and PostgreSQL. One hand-written SQL with $1 placeholders serves both.
//
// What it promises:
//
//   - Write runs a closure in one transaction. An error, a panic or runtime.Goexit rolls everything back. Serialization
//     failures, deadlocks and a busy SQLite are retried with a bound, so the closure may run several times: it must keep
//     its effects in the transaction, or in AfterCommit.
//   - Read runs a closure on one snapshot and can change nothing.
//   - A queued statement (Tx.Queue) travels with the next statement or with the commit. On PostgreSQL a command costs two
//     round trips: BEGIN with the first read, and the queued writes with COMMIT.
//   - Appended rows (Tx.Append) travel behind what is queued, those of one table together: for tables that are only added to.
//   - Await waits, with a bound and audibly, for a PostgreSQL that cannot be reached when a program starts.
//   - Driver types and driver text do not leave the package: errors are *store.Error and match the sentinels.
//
// # Rules for SQL that serves both engines
//
//   - Times: column timestamptz (PostgreSQL) or TIMESTAMP (SQLite); pass and scan time.Time. They are cut to microseconds
//     and come back in UTC. SQLite holds them as text of fixed width, so they compare and sort as times do.
//   - Calendar dates without a time: TEXT 2006-01-02 on both.
//   - Ids: uuid (PostgreSQL) or TEXT (SQLite); pass and scan lower-case strings.
//   - Text that is ordered, compared by < or >, or paged by: TEXT COLLATE "C" on PostgreSQL. SQLite always compares bytes.
//   - JSON: jsonb or TEXT; pass and scan store.JSON. Compare decoded values, never the text.
//   - Booleans: BOOLEAN on both, written TRUE and FALSE in SQL.
//   - Integers: BIGINT on both; money is minor units. LIKE differs in case folding: compare normalised columns instead.
//   - Unique indexes are named <table>_<columns joined by _>_key, so that UniqueOn finds them on both.
//   - Transactions of PostgreSQL are READ COMMITTED: a row that is read to be changed is read with Dialect.ForUpdate, or
//     changed by compare-and-set on its version. SQLite has one writer at a time.
package store
