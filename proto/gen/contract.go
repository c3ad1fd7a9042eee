// Package gen is the root of the code generated from the contracts in proto/tasuki. Its tests hold the contracts to
// Tasuki's conventions.
package gen

import _ "embed"

// Descriptors is a serialized google.protobuf.FileDescriptorSet of every file of the contracts, comments included,
// without what they import from elsewhere.
//
//go:embed descriptors.binpb
var Descriptors []byte
