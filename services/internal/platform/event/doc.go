// Package event writes what happens in a service into its one append-only table, serves that table as the feed, and reads
// the feeds of others.
//
// What it promises:
//
//   - Append is a row of the caller's transaction: an event exists exactly when its effect does.
//   - The feed shows every event once, in an order that never changes. A cursor never has to look back: what was not
//     visible yet comes later. On PostgreSQL, where transactions commit out of order, only events that no running
//     transaction can still precede are shown.
//   - Streams that have caught up are served by one reader of the table for all of them.
//   - A stream wakes up with commits of this process, and on PostgreSQL of other processes (LISTEN/NOTIFY). Should a wake-up
//     be lost, a slow look at the table finds the events all the same.
//   - A subscription stores its cursor in the transaction of the effect: an effect happens exactly once. One replica at a
//     time holds it. An event that fails for good is parked together with all later events of its subject, and can be
//     replayed in order; the rest flows on.
//
// On PostgreSQL a transaction that writes for long, anywhere in the same server, holds the feed back for as long. The order hangs
// on the server's transaction ids: Resume lets it go on after a database was restored, or moved to another server.
//
// Handlers of subscriptions run in a transaction and may be called again for the same event when it rolled back. They see
// access.System("<subscription>") as the actor, and Append takes the handled event's id as the cause.
package event
