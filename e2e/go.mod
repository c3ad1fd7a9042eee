module github.com/tasuki-project/tasuki/e2e

go 1.26

require github.com/tasuki-project/tasuki/proto/gen v0.0.0

replace github.com/tasuki-project/tasuki/proto/gen => ../proto/gen
