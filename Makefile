SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export GOFLAGS := -p=2

BIN := $(CURDIR)/.bin
CACHE := $(CURDIR)/.cache

TOOLS := buf golangci-lint openapiv3-merge protoc-gen-grpc-gateway protoc-gen-openapiv3 protoc-gen-go-grpc protoc-gen-go
OURTOOLS := thirdparty openapi

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tools
tools: $(BIN)/.stamp ## build buf, its plugins, the linter and our own helpers into .bin
$(BIN)/.stamp: tools/go.mod tools/go.sum $(wildcard tools/cmd/*/*.go)
	@mkdir -p $(BIN)
	cd tools && GOWORK=off GOBIN=$(BIN) go install tool $(addprefix ./cmd/,$(OURTOOLS))
	@touch $@

.PHONY: generate
generate: tools ## generate Go code and OpenAPI documents from the contracts
	tools/generate.sh
