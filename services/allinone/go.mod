module github.com/tasuki-project/tasuki/services/allinone

go 1.26.0

require (
	github.com/tasuki-project/tasuki/proto/gen v0.0.0
	github.com/tasuki-project/tasuki/services/customersuccess v0.0.0
	github.com/tasuki-project/tasuki/services/fieldsales v0.0.0
	github.com/tasuki-project/tasuki/services/gateway v0.0.0
	github.com/tasuki-project/tasuki/services/insidesales v0.0.0
	github.com/tasuki-project/tasuki/services/internal/platform v0.0.0
	github.com/tasuki-project/tasuki/services/marketing v0.0.0
)

require (
	github.com/alecthomas/kong v1.17.0 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/jedib0t/go-pretty/v6 v6.8.3 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/schollz/progressbar/v3 v3.19.1 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/term v0.47.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261026165753-2ffab32bce7e // indirect
	google.golang.org/grpc v1.85.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/tasuki-project/tasuki/proto/gen => ../../proto/gen
	github.com/tasuki-project/tasuki/services/customersuccess => ../customersuccess
	github.com/tasuki-project/tasuki/services/fieldsales => ../fieldsales
	github.com/tasuki-project/tasuki/services/gateway => ../gateway
	github.com/tasuki-project/tasuki/services/insidesales => ../insidesales
	github.com/tasuki-project/tasuki/services/internal/platform => ../internal/platform
	github.com/tasuki-project/tasuki/services/marketing => ../marketing
)
