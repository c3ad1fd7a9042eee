// Package lifecycle starts the parts of a program in order and stops them in reverse.
//
// It promises that
//   - signals are caught before anything starts; a second signal ends the waiting;
//   - a part that fails to start stops those that were started, in reverse, and so does one that fails while it runs;
//   - readiness goes on after the last part has started, and off before anything stops; between readiness off and the
//     first stop lies the drain delay, in which load balancers notice;
//   - every part gets its share of a deadline to stop, so that one that hangs does not keep the rest from stopping.
//
// Add parts in the order telemetry, stores, subscriptions, jobs, servers: the stop is then servers first and telemetry
// last.
package lifecycle
