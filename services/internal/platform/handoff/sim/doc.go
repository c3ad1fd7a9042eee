// Package sim plays handoffs between departments against everything that can go wrong, from a seed.
//
// Engine, event log, feed, subscriptions and stores are the real ones. Job runner, network and clocks belong to the
// simulation: it decides which job runs when and whether its end is noted, which message arrives, gets lost, comes twice or
// late, when processes die (before or after any commit, and within hooks), who decides at the same moment with which
// knowledge, how the clocks are set, and which departments cannot reach one another.
//
// A schedule is a list of steps that a seed makes. After every step, and at the end when everything has healed, World checks
// what must hold whatever happens:
//
//   - no offer is lost, and none comes from nowhere
//   - every attempt has one decision at most, and the sender's ledger has the receiver's
//   - states move along the drawn arrows only, attempts only grow, and history is never rewritten
//   - every change of state had its effect (hook) exactly once
//   - a command that is legal succeeds, and one that is not does nothing
//   - every clock that runs out rings, is counted and told once
//   - at the end both ledgers say the same, the engine's own comparison finds nothing, and nothing waits
//
// A schedule that fails is cut down to the fewest steps that still fail. Steps name what they act on by its place in a list,
// so that every list of steps is a schedule.
package sim
