package backup

import "time"

// HoldFor sets how long a backup waits for writers until the test ends.
func HoldFor(d time.Duration) (undo func()) {
	before := holdFor
	holdFor = d
	return func() { holdFor = before }
}

// LibpqURI is libpqURI.
var LibpqURI = libpqURI
