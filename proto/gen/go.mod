module github.com/tasuki-project/tasuki/proto/gen

go 1.26
