# What a person or a machine does with this checkout; `make help` lists it.

BIN := .venv/bin
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
# Tests of one file share its servers, so a file stays on one worker; most of them wait, so there are more than cores.
PYTEST_FLAGS ?= $(if $(filter 1,$(CORES)),,-n 4 --dist loadfile --no-loadscope-reorder)

.DEFAULT_GOAL := help
.PHONY: help setup test lint format bench chaos scale histories dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## .venv with everything in it (seconds when nothing changed)
	@bash scripts/setup.sh

test: lint ## everything: format check, lint, types, import rules, all tests
	$(BIN)/pytest $(PYTEST_FLAGS)

lint: setup ## all of that but the tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: setup ## put every file into the house's format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: setup ## the benchmarks, into docs/benchmarks.md (ROUNDS=1 ONLY=turns,cancel: a quick look)
	$(BIN)/python -m benchmarks --rounds=$(or $(ROUNDS),5) --only=$(ONLY)

chaos: setup ## random faults under load (ROUNDS=20 SEED=1 DATABASE=sqlite: those rounds, on that database)
	$(BIN)/python -m tests.chaos --rounds=$(or $(ROUNDS),6) --database=$(or $(DATABASE),both) $(if $(SEED),--seed=$(SEED))

scale: setup ## how far one run and one service may grow, hours in full (ONLY=turns,clients SMALL=1: a quick look)
	$(BIN)/python -m tests.scale --only=$(ONLY) $(if $(SMALL),--small)

histories: setup ## record the workflow histories under fixtures/histories anew
	$(BIN)/python -m tests.workflows.record

dev: setup ## Temporal, Redis, API and worker, without the demo (as ./temporal-dev.sh --no-demo)
	$(BIN)/cody dev --no-demo
