// Package idempotency makes it safe to repeat a command: the caller sends the metadata `idempotency-key`, and every later
// call with the same key gets the answer of the first, without a second effect.
//
// It promises that
//   - key and effect are written in one transaction: neither is ever there without the other;
//   - of any number of calls with one key at the same moment one has the effect, and all get the same answer;
//   - a key belongs to a caller and a method; the same key with another request is IDEMPOTENCY_KEY_REUSED;
//   - only successes are kept: a call that failed may be repeated with its key;
//   - keys are forgotten after a time (24 hours by default), and Purge removes them.
//
// The closure of the handler's store.Write must return the response message of the method itself: that is what is kept
// and replayed. A handler that writes in several transactions, an import for instance, is protected in its first only, and
// opts out with store.WithoutGuard when that is not what it means.
package idempotency
