# The only door. `make help` lists what there is. Every target brings its own Node and packages (scripts/with-node).
.DEFAULT_GOAL := help
.PHONY: help demo demo-agent dev check test policy-test architecture format lint types fix build opa bundle console bench fuzz mutants clean
MAKEFLAGS += --no-print-directory
run := scripts/with-node

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a real PostgreSQL, a real OIDC provider and the gateway; a story, then yours to try (ARGS=--once: story only)
	@$(run) node scripts/demo/main.ts $(ARGS)

demo-agent: ## a real agent (Claude Agent SDK) behind the gateway; with ANTHROPIC_API_KEY set, the real model
	@scripts/agent/install.sh
	@$(run) node scripts/agent/main.ts

dev: ## the gateway on CONFIG (default .demo/sallyport.yaml), started again when a source changes
	@$(run) node --watch --watch-preserve-output proxy/cli/main.ts serve --config $(or $(CONFIG),.demo/sallyport.yaml)

check: ## exactly what CI runs: format, lint, types, policies, bundle, tests
	@$(run) node scripts/check.ts $(ARGS)

test: ## all tests (ARGS go to jest, for example ARGS=test/unit/core)
	@$(run) node scripts/check.ts --only tests,policies -- $(ARGS)

policy-test: ## the policies: opa fmt, check and test, and the same cases in WebAssembly
	@$(run) node scripts/check.ts --only policies

fix: ## format and lint, mending what can be mended
	@$(run) biome check --write .

types: ## the type checker alone
	@$(run) tsc -p tsconfig.check.json
	@$(run) tsc -p proxy/admin/console

build: ## dist/, what the published package runs
	@$(run) sh -c 'rm -rf dist && tsc -p tsconfig.json'

opa: ## the pinned OPA into .tools/ (needed to author policy, never to run the gateway)
	@scripts/opa.sh

bundle: ## bundles/default.tar.gz from rego/ (needs OPA)
	@$(run) scripts/bundle.sh

console: ## bundles/console/ from proxy/admin/console: the web page that the gateway serves
	@$(run) node scripts/console.ts

bench: ## the benchmarks; the last line is one JSON object of figures
	@$(run) node test/bench/main.ts $(ARGS)

fuzz: ## fuzzing, bounded in time (ARGS=--seconds=60)
	@$(run) node test/fuzz/main.ts $(ARGS)

mutants: ## switches each named defence off in a copy; a bypass test must notice
	@$(run) node scripts/mutants.ts $(ARGS)

clean: ## what was built, fetched or left behind by the demo
	@rm -rf dist coverage .demo .tools node_modules
