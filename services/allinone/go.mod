module github.com/tasuki-project/tasuki/services/allinone

go 1.26

require (
	github.com/tasuki-project/tasuki/proto/gen v0.0.0
	github.com/tasuki-project/tasuki/services/customersuccess v0.0.0
	github.com/tasuki-project/tasuki/services/fieldsales v0.0.0
	github.com/tasuki-project/tasuki/services/gateway v0.0.0
	github.com/tasuki-project/tasuki/services/insidesales v0.0.0
	github.com/tasuki-project/tasuki/services/internal/platform v0.0.0
	github.com/tasuki-project/tasuki/services/marketing v0.0.0
)

replace (
	github.com/tasuki-project/tasuki/proto/gen => ../../proto/gen
	github.com/tasuki-project/tasuki/services/customersuccess => ../customersuccess
	github.com/tasuki-project/tasuki/services/fieldsales => ../fieldsales
	github.com/tasuki-project/tasuki/services/gateway => ../gateway
	github.com/tasuki-project/tasuki/services/insidesales => ../insidesales
	github.com/tasuki-project/tasuki/services/marketing => ../marketing
	github.com/tasuki-project/tasuki/services/internal/platform => ../internal/platform
)
