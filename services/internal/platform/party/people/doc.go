// Package people is what every department does alike for the people it keeps, whoever else keeps them too.
//
// What it promises:
//
//   - A merged id resolves to the person that stays, for ever, through any number of merges.
//   - Consents are a projection of what marketing tells, and until it has, of what came with the handoff. Whether a person
//     may be contacted is answered from it, without a call; a withdrawal wins over everything that is not a later opt-in.
//   - An erasure empties every table that the department has named, its handoffs and its events of the person, in one
//     transaction with the answer to it. What arrives of an erased person later is emptied on arrival. A salted hash of the
//     addresses is all that stays.
//   - Every table with a column of a person or an account is named in the department's list of tables; Unlisted finds those
//     that are not, and each department has a test that there are none.
//
// consent.go, facts.go and table.go are rules and plain data; the other files do I/O.
package people
