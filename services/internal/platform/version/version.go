// Package version tells which Tasuki this is. Builds set it with
// `-ldflags "-X github.com/tasuki-project/tasuki/services/internal/platform/version.Version=v1.2.3"`.
package version

import "runtime"

// Version of the program; `dev` for builds that set none.
var Version = "dev"

// Revision is the commit the program was built from; empty when the build set none.
var Revision = ""

// String is the version for people, for instance `tasuki v1.2.3 (4f5e6d7, go1.26.0)`.
func String(program string) string {
	s := program + " " + Version + " ("
	if Revision != "" {
		s += Revision + ", "
	}
	return s + runtime.Version() + ")"
}
