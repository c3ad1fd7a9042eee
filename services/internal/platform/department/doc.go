// Package department puts a department together from the parts that all departments share: store, events, jobs, handoffs,
// and a gRPC server with the same interceptors. A Definition says what is special about one of them; everything else, and
// the order in which things start and stop, is here once, for `cmd/<department>` and for the all-in-one program alike.
package department
