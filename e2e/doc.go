// Package e2e tests Tasuki through its public doors only: the same scenarios in one process on SQLite and over separate
// processes on PostgreSQL.
package e2e
