# `make help` lists the targets. Needed: Go and make; for RACE=1 a C compiler too.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ROOT := $(CURDIR)
BIN := $(ROOT)/.bin
CACHE := $(ROOT)/.cache
# The modules of the workspace, and those apart from it: see go.work.
MODULES := $(patsubst ./%,%,$(shell sed -n 's|^[[:space:]]*\(\./[^[:space:]]*\).*|\1|p' go.work))
APART := e2e/containers e2e/kube tools
PROGRAMS := $(wildcard services/*/cmd/*/)
PLATFORM := github.com/tasuki-project/tasuki/services/internal/platform
VERSION ?= $(shell git describe --tags --match 'v*' 2>/dev/null || echo dev)
LDFLAGS := -X $(PLATFORM)/version.Version=$(VERSION) -X $(PLATFORM)/version.Revision=$(shell git rev-parse --short HEAD 2>/dev/null)

# Without golang.org/x/net/trace, whose templates make the linker keep every method of the program: see docs/performance.md.
TAGS := $(shell cat tools/tags)

# One build cache serves all targets, and a C compiler is needed by the race detector only.
export CGO_ENABLED := $(if $(RACE),1,0)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: bin/tasuki ## run the sample leads through all departments, then serve; LEADS=file EXIT=1 LISTEN=addr DATA=dir
	bin/tasuki demo $(if $(LEADS),--leads "$(LEADS)",$(patsubst %,--leads %,$(wildcard deploy/samples/*.csv))) $(if $(LISTEN),--listen "$(LISTEN)") $(if $(DATA),--data "$(DATA)") $(if $(EXIT),--exit)

.PHONY: up
up: bin/tasuki ## serve everything in one process on SQLite; LISTEN=addr DATA=dir
	bin/tasuki up $(if $(LISTEN),--listen "$(LISTEN)") $(if $(DATA),--data "$(DATA)")

.PHONY: up-split
up-split: build ## serve from one process per department on a private PostgreSQL; LISTEN=addr DATA=dir
	LISTEN="$(LISTEN)" DATA="$(DATA)" tools/up-split.sh

.PHONY: build
build: ## build all programs into bin
	@mkdir -p bin
	@for cmd in $(PROGRAMS); do \
	  echo "go build ./$$cmd"; CGO_ENABLED=0 go build -tags "$(TAGS)" -ldflags "$(LDFLAGS)" -o bin/ "./$$cmd"; \
	done

# Always asks go, which knows best whether anything changed.
.PHONY: bin/tasuki
bin/tasuki:
	@mkdir -p bin
	CGO_ENABLED=0 go build -tags "$(TAGS)" -ldflags "$(LDFLAGS)" -o bin/ ./services/allinone/cmd/tasuki

.PHONY: test
test: build $(BIN)/testcount ## run every test that needs no container; RACE=1 WITHOUT=module; PostgreSQL too when TASUKI_TEST_POSTGRES_DSN is set
	@$(if $(RACE),command -v $${CC:-gcc} >/dev/null || { echo "RACE=1 needs a C compiler (Debian: apt-get install gcc libc6-dev)"; exit 1; },:)
	@$(if $(TASUKI_TEST_POSTGRES_DSN),,echo "PostgreSQL suites do not run: TASUKI_TEST_POSTGRES_DSN is not set (make test-postgres brings a server)")
	@GOWORK=off $(BIN)/testcount -modules tools $(TESTCOUNT) -- ./cmd/...
	@TASUKI_BIN="$(ROOT)/bin" $(BIN)/testcount -modules "$(filter-out $(WITHOUT),$(MODULES))" $(TESTCOUNT) -- $(if $(RACE),-race) -timeout 15m ./...

.PHONY: test-postgres
test-postgres: ## run the tests on SQLite and on a private PostgreSQL, which is installed if need be; RACE=1
	@running=$$(tools/postgres.sh status || true); \
	TASUKI_TEST_POSTGRES_DSN=$$(tools/postgres.sh start); \
	export TASUKI_TEST_POSTGRES_DSN TASUKI_REQUIRE_POSTGRES=1; \
	[ "$$running" = running ] || trap 'tools/postgres.sh stop' EXIT; \
	$(MAKE) test

.PHONY: e2e
e2e: build $(BIN)/testcount ## run the scenarios in one process, and over separate processes on a private PostgreSQL
	@running=$$(tools/postgres.sh status || true); \
	TASUKI_TEST_POSTGRES_DSN=$$(tools/postgres.sh start); \
	export TASUKI_TEST_POSTGRES_DSN TASUKI_REQUIRE_POSTGRES=1 TASUKI_BIN="$(ROOT)/bin"; \
	[ "$$running" = running ] || trap 'tools/postgres.sh stop' EXIT; \
	$(BIN)/testcount -modules e2e $(TESTCOUNT) -- -count=1 -timeout 20m ./...

# Brings a PostgreSQL of its own, to be killed. Without SEED, every run hurts in other ways. Logs are in .cache/faults.
.PHONY: faults
faults: build ## kill, stop, cut and slow five processes and PostgreSQL while leads flow, then compare the books; FAULTS=n SEED=s
	@tools/postgres.sh install
	@mkdir -p "$(CACHE)/faults"
	@cd e2e && TASUKI_BIN="$(ROOT)/bin" TASUKI_REQUIRE_POSTGRES=1 TASUKI_FAULTS=$(or $(FAULTS),200) TASUKI_FAULTS_SEED=$(SEED) \
	go test -count=1 -timeout 40m -v -artifacts -outputdir "$(CACHE)/faults" -run '^TestFaults$$' ./faults

.PHONY: images
images: ## build a container image per program; IMAGE_PREFIX=tasuki/ IMAGE_TAG=dev VERSION=v1.2.3
	@IMAGE_PREFIX="$(or $(IMAGE_PREFIX),tasuki/)" IMAGE_TAG="$(IMAGE_TAG)" VERSION="$(VERSION)" tools/images.sh

.PHONY: images-check
images-check: ## fail unless building the images again makes the same layers
	@IMAGE_PREFIX="$(or $(IMAGE_PREFIX),tasuki/)" IMAGE_TAG="$(IMAGE_TAG)" VERSION="$(VERSION)" tools/images.sh --check

# The newest release before this commit, or before the first one a commit with an older schema: see tools/previous.sh.
.PHONY: previous
previous: ## build the programs of the version before into .cache, to run beside this one; PREVIOUS=revision
	@tools/previous.sh programs

.PHONY: previous-images
previous-images: ## build the images of the version before; PREVIOUS=revision IMAGE_PREFIX=tasuki/ IMAGE_TAG=previous
	@IMAGE_PREFIX="$(or $(IMAGE_PREFIX),tasuki/)" IMAGE_TAG="$(IMAGE_TAG)" tools/previous.sh images

.PHONY: compose-up
compose-up: ## serve from containers, and say where; OBSERVABILITY=1 adds metrics and dashboards
	@OBSERVABILITY="$(OBSERVABILITY)" tools/compose.sh up

.PHONY: compose-down
compose-down: ## end the containers of compose-up; DESTROY=1 deletes the data, too
	@OBSERVABILITY="$(OBSERVABILITY)" tools/compose.sh $(if $(DESTROY),destroy,down)

.PHONY: stand-ins
stand-ins: ## build images of the collector, Prometheus and MailDev where none can be pulled; TRACES=1 Jaeger too, IMAGE_PREFIX=tasuki/ IMAGE_TAG=dev
	@IMAGE_PREFIX="$(or $(IMAGE_PREFIX),tasuki/)" IMAGE_TAG="$(IMAGE_TAG)" tools/stand-ins.sh $(if $(TRACES),collector prometheus mail traces)

# Needs Docker with compose, the images, and a PostgreSQL image; for what stands beside Tasuki TASUKI_{COLLECTOR,PROMETHEUS,MAIL}_IMAGE.
.PHONY: e2e-containers
e2e-containers: build $(BIN)/testcount ## run the scenarios over the images, kill containers, try compose; TASUKI_POSTGRES_IMAGE=name
	@GOWORK=off TASUKI_BIN="$(ROOT)/bin" $(BIN)/testcount -modules e2e/containers $(TESTCOUNT) -- -count=1 -timeout 20m ./...

# As e2e-containers, with TASUKI_{COLLECTOR,TRACES}_IMAGE. No part of CI, because Jaeger takes over four minutes to build on two cores.
.PHONY: e2e-traces
e2e-traces: build $(BIN)/testcount ## look for a lead's trace in Jaeger, beside compose; TASUKI_POSTGRES_IMAGE=name
	@GOWORK=off TASUKI_BIN="$(ROOT)/bin" $(BIN)/testcount -modules e2e/containers $(TESTCOUNT) -- -count=1 -timeout 10m -tags traces -run '^TestTraces$$' .

# Needs helm and kubeconform; KUBECONFORM_SCHEMAS is where schemas are, if not on the network.
.PHONY: chart
chart: $(BIN)/testcount ## lint and render the Helm chart, and check what it makes
	@GOWORK=off $(BIN)/testcount -modules e2e/kube $(TESTCOUNT) -- -count=1 ./chart

.PHONY: e2e-issuer
e2e-issuer: ## build the image of the OpenID Connect issuer that e2e-kube signs people in with; IMAGE_PREFIX=tasuki/ IMAGE_TAG=dev
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; cp e2e/kube/issuer/Dockerfile "$$dir/"; \
	cd e2e/kube && GOWORK=off CGO_ENABLED=0 GOOS=$$(docker version --format '{{.Server.Os}}') GOARCH=$$(docker version --format '{{.Server.Arch}}') \
	  go build -trimpath -ldflags '-s -w' -o "$$dir/issuer" ./issuer && \
	docker build -q -t "$(or $(IMAGE_PREFIX),tasuki/)e2e-issuer:$(or $(IMAGE_TAG),dev)" "$$dir"

# Needs KUBECONFIG, helm, kubectl, and the images (make images previous-images e2e-issuer) on the nodes or a command that brings them there.
.PHONY: e2e-kube
e2e-kube: build $(BIN)/testcount ## install the chart on a cluster, upgrade, restart, scale, delete pods, sign in, uninstall; TASUKI_KUBE_LOAD=command
	@GOWORK=off TASUKI_BIN="$(ROOT)/bin" $(BIN)/testcount -modules e2e/kube $(TESTCOUNT) -- -count=1 -timeout 25m .

.PHONY: bench
bench: build ## run the benchmarks on both engines; BENCH=regexp BENCHTIME=5s
	@running=$$(tools/postgres.sh status --durable || true); \
	TASUKI_TEST_POSTGRES_DSN=$$(tools/postgres.sh start --durable); \
	export TASUKI_TEST_POSTGRES_DSN TASUKI_REQUIRE_POSTGRES=1 TASUKI_BIN="$(ROOT)/bin"; \
	[ "$$running" = running ] || trap 'tools/postgres.sh stop --durable' EXIT; \
	for module in $(MODULES); do \
	  packages=$$(cd $$module && { grep -rl --include='*_test.go' '^func Benchmark' . || true; } | xargs -r -n1 dirname | sort -u); \
	  [ -z "$$packages" ] || (cd $$module && go test -run '^$$' -bench '$(or $(BENCH),.)' $(if $(BENCHTIME),-benchtime $(BENCHTIME)) -benchmem -p 1 -timeout 30m $$packages); \
	done

.PHONY: fuzz
fuzz: ## feed parsers with inputs nobody thought of; FUZZ=regexp FUZZTIME=30s for each
	@grep -rnE --include='*_test.go' '^func Fuzz' $(MODULES) | sed -E 's|^(.*)/[^/]*_test.go:[0-9]+:func (Fuzz[A-Za-z0-9]*).*|\1 \2|' | grep -E '$(or $(FUZZ),.)' | \
	while read -r package name; do \
	  echo "$$name in $$package"; \
	  (cd $$package && go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(or $(FUZZTIME),30s) .); \
	done

# Without SEED, every day plays other schedules.
.PHONY: sim
sim: ## play handoffs against crashes, lost and late messages and wrong clocks; SCHEDULES=n SEED=s ENGINE=sqlite|postgres
	@$(if $(TASUKI_TEST_POSTGRES_DSN),,echo "PostgreSQL does not play: TASUKI_TEST_POSTGRES_DSN is not set")
	@n=$(or $(SCHEDULES),10000); cd services/internal/platform; \
	TASUKI_SIM_SEED=$(or $(SEED),$$(date +%Y%m%d)00000) TASUKI_SIM_ENGINE=$(ENGINE) TASUKI_SIM_SCHEDULES=$$n \
	TASUKI_SIM_POSTGRES=$$(( $(if $(filter postgres,$(ENGINE)),n,(n + 19) / 20) )) \
	go test -count=1 -timeout 30m -v -run '^TestSchedules$$' ./handoff/sim

.PHONY: tools
tools: $(BIN)/.generators $(BIN)/golangci-lint $(BIN)/testcount ## build buf, its plugins, the linter and our own helpers into .bin
INSTALL := GOWORK=off GOBIN=$(BIN) CGO_ENABLED=0 go install
TOOLS := $(shell sed -n '/^tool (/,/^)/s|^\t||p' tools/go.mod)

$(BIN)/.generators: tools/go.mod tools/go.sum
	@mkdir -p $(BIN)
	cd tools && $(INSTALL) $(filter-out %/golangci-lint,$(TOOLS))
	@touch $@

$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	@mkdir -p $(BIN)
	cd tools && $(INSTALL) $(filter %/golangci-lint,$(TOOLS))
	@touch $@

# The small ones build in seconds: `make test` waits for no linter.
$(BIN)/%: tools/cmd/%/*.go tools/go.mod
	@mkdir -p $(BIN)
	cd tools && $(INSTALL) ./cmd/$*
	@touch $@

.PHONY: generate
generate: $(BIN)/.generators $(BIN)/thirdparty $(BIN)/openapi ## make Go code and OpenAPI documents from the contracts
	tools/generate.sh

.PHONY: generate-check
generate-check: generate ## fail if the committed generated code is not what the contracts make
	@changed=$$(git status --porcelain -- proto/gen); \
	if [ -n "$$changed" ]; then \
	  echo "generated code is out of date; run make generate and commit:"; echo "$$changed"; git --no-pager diff --stat -- proto/gen; exit 1; \
	fi

.PHONY: kong-check
kong-check: ## fail if third_party/kong is not the released kong with our patch
	tools/kong.sh --check

.PHONY: lint
lint: lint-proto lint-go ## run all linters

.PHONY: lint-proto
lint-proto: $(BIN)/.generators $(BIN)/thirdparty ## lint the contracts
	$(BIN)/thirdparty -out proto/third_party
	$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code --path proto/tasuki proto >/dev/null || { echo "contracts are not formatted; run make fmt"; exit 1; }

.PHONY: lint-go
lint-go: $(BIN)/golangci-lint ## lint the Go code of every module
	@for module in $(MODULES) $(APART); do \
	  if [ -z "$$(find $$module -name '*.go' -print -quit)" ]; then echo "$$module: no Go files yet"; continue; fi; \
	  echo "golangci-lint $$module"; \
	  (cd $$module && case " $(APART) " in *" $$module "*) export GOWORK=off ;; esac; $(BIN)/golangci-lint run --allow-parallel-runners --config $(ROOT)/.golangci.yml ./...) || failed=1; \
	done; exit $${failed:-0}

.PHONY: fmt
fmt: $(BIN)/.generators $(BIN)/golangci-lint ## format contracts and Go code
	$(BIN)/buf format -w --path proto/tasuki proto
	@for module in $(MODULES) $(APART); do (cd $$module && $(BIN)/golangci-lint fmt --config $(ROOT)/.golangci.yml); done

.PHONY: breaking
breaking: $(BIN)/.generators $(BIN)/thirdparty ## fail if the contracts break those of main; AGAINST=ref
	AGAINST="$(AGAINST)" tools/breaking.sh

.PHONY: ci
ci: ## run everything that CI runs, with a summary
	tools/ci.sh

.PHONY: clean
clean: ## delete what was built; the data of make up stays
	tools/postgres.sh stop
	rm -rf bin .bin .cache proto/third_party
