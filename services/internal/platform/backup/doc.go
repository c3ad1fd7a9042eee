// Package backup copies all databases of a house as they were at one moment, while the house works, and brings them back.
//
// Every department has a database of its own, and what one of them knows may come from another: a handoff that it received,
// a cursor in its feed. So the copies must be of one moment, or a receiver could come back with a handoff that its sender never
// made. Take makes them so: for a few milliseconds nobody writes, in no database; in that time a view of each is frozen; and then the
// views are copied while everything goes on. What a department knows of another has been committed there before, so it
// is in the copy.
//
// On SQLite a view is a read transaction, and writers are held by the write lock of each file. On PostgreSQL it is an exported
// snapshot, from which pg_dump reads, and what is held is the writing of events: whatever goes from one department to another
// begins with an event, and ends with one or with a cursor.
//
// Restore checks everything before it touches anything, and lets the feeds go on after a leap (event.Resume), so that readers
// outside of the house, which remember more than the backup does, miss nothing that comes afterwards.
package backup
