module github.com/tasuki-project/tasuki/services/gateway

go 1.26

require (
	github.com/tasuki-project/tasuki/proto/gen v0.0.0
	github.com/tasuki-project/tasuki/services/internal/platform v0.0.0
)

replace (
	github.com/tasuki-project/tasuki/proto/gen => ../../proto/gen
	github.com/tasuki-project/tasuki/services/internal/platform => ../internal/platform
)
