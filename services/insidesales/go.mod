module github.com/tasuki-project/tasuki/services/insidesales

go 1.26.0

require (
	github.com/tasuki-project/tasuki/proto/gen v0.0.0
	github.com/tasuki-project/tasuki/services/internal/platform v0.0.0
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)

replace (
	github.com/tasuki-project/tasuki/proto/gen => ../../proto/gen
	github.com/tasuki-project/tasuki/services/internal/platform => ../internal/platform
)
