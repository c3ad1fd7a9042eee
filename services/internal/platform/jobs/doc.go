// Package jobs is durable work: rows of the caller's transaction that are worked on after its commit, again and again until
// they succeed. River (github.com/riverqueue/river) stands behind it on both engines.
//
// What it promises:
//
//   - Insert is a row of the caller's transaction: the job exists exactly when its cause does.
//   - A job runs at least once. It can run twice when the process dies at the wrong moment: workers must be idempotent.
//   - A failing job is tried again with exponential backoff and jitter, at the most one minute apart. A job with a bound
//     on its attempts ends as a dead letter, which can be listed and replayed; one without a bound never ends.
//   - The trace of the transaction continues in the worker; after a long gap the worker's is a trace of its own, linked to it.
//   - After a commit in this process the job starts at once; jobs of other processes are found by LISTEN/NOTIFY on
//     PostgreSQL, and by a poll that only reads on SQLite.
//   - A job with a time starts within a second of it, as long as a worker is free: an alarm in every process knows the next
//     due time.
package jobs
