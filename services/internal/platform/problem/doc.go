// Package problem is the one vocabulary of errors.
//
// It promises that
//   - every value of tasuki.errors.v1.ErrorReason has one constructor, one gRPC code, and a text in English and Japanese;
//   - Status turns any error into exactly one status: its own types, the sentinels of etag, page and store, context
//     errors, protovalidate's, and statuses of other services, which pass through unchanged;
//   - anything else becomes INTERNAL "internal error" with the request id. Its text, which may hold SQL, addresses or
//     personal data, never leaves the process.
//
// A client finds in the details a google.rpc.ErrorInfo (domain "tasuki"), a google.rpc.LocalizedMessage in ja-JP, and
// where they apply a google.rpc.BadRequest with one violation per field and a google.rpc.RetryInfo.
package problem
