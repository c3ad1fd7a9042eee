// Package handoff is the protocol by which one department hands over to the next, written once for all of them.
//
// What it promises:
//
//   - Both sides keep a handoff in a ledger of their own (table handoffs, side OUT or IN). The sender's row is written in the
//     transaction that offers it, together with the job that delivers it; that job has no end.
//   - An offer arrives exactly once, however often it is delivered: the receiver knows handoffs by id and attempt.
//   - Exactly one decision wins for every attempt: every command is a compare-and-set on the row's version.
//   - Decisions come back by the receiver's feed, and are applied to the sender's ledger once, only along the arrows.
//   - Clocks run at the receiver, in business time, by policies that are data. Each is a durable job of the transaction that
//     starts it, and takes its steps once, whatever rings it; the sender sees due times and breaches.
//   - An offer that cannot be delivered says why and since when, and raises the alarm.
//   - Reconcile compares both ledgers, describes each difference, and mends what deliveries and decisions can mend.
//   - Hooks of departments run in the engine's transaction: what a department makes of a handoff exists exactly when the
//     handoff's new state does.
//
// The states and commands are in machine.go, as a table:
//
//	OFFERED ──► ACCEPTED ──► FULFILLED
//	   ├──► REJECTED
//	   ├──► RETURNED ──► OFFERED, next attempt
//	   ├──► EXPIRED  ──► OFFERED, next attempt
//	   └──► RECALLED
package handoff
