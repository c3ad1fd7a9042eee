// Package rpc builds gRPC servers and clients, so that every service answers the same way.
//
// It promises that
//   - every call passes the steps of Steps, in that order, whether it comes over the network or from inside the process;
//   - a unary call has a deadline, on both sides, even when nobody set one;
//   - a panic is INTERNAL for the caller and a stack for the log;
//   - a client sees a dead or draining department as UNAVAILABLE with the department's name, at once; reads, and
//     commands that carry an idempotency key, are tried again a few times before;
//   - a server whose contract lacks an access rule does not serve.
//
// Server is made by NewServer, clients by Dial. Loopback connects both inside one process.
package rpc
