# `make` alone prints this help. Every target works from a fresh clone.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: help install run test check format lock clean

help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "; print "Plinth: type make TARGET\n"} /^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Create .venv with the locked dependencies

$(VENV)/.installed: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Plinth needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.13 ..." >&2; exit 2; }
	@echo "Installing the locked dependencies into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install ## Run the real thing: PostgreSQL, Redis, migrations, server (no Docker needed; Ctrl-C stops all)
	@exec $(BIN)/app dev

test: install ## Run every test (testcontainers if Docker answers, else embedded services)
	@$(BIN)/pytest $(PYTEST_ARGS)

.PHONY: chaos
chaos: install ## Kill workers, relays and PostgreSQL for long, and try many histories of the queue (about 20 minutes)
	@PLINTH_LONG=1 $(BIN)/pytest -n 0 $$(grep -l PLINTH_LONG tests/tasks/test_*.py) $(PYTEST_ARGS)

.PHONY: bench bench-report
BENCH_ENVIRONMENTS := .local/bench/.installed .local/bench-tasks/.installed .local/bench-shipped/.installed
bench: install $(BENCH_ENVIRONMENTS) ## Measure everything beside what users would pick instead, for docs/benchmarks.md (about 40 minutes; PARTS="sockets tasks")
	@$(BIN)/python -m bench $(PARTS)

bench-report: install ## Write docs/benchmarks.md from what was measured last
	@$(BIN)/python -m bench.report

# The code is the checkout's own; of the package only what says its version is needed.
.local/bench-shipped/.installed: requirements.txt $(VENV)/.installed
	@echo "Installing what an image has into .local/bench-shipped (once)"
	@$(PYTHON) -m venv .local/bench-shipped
	@.local/bench-shipped/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@cp -R $(VENV)/lib/python*/site-packages/plinth-*.dist-info .local/bench-shipped/lib/python*/site-packages/
	@touch $@

.PHONY: bench-edge
bench-edge: install ## Show what the HTTP edge costs a request, layer by layer
	@$(BIN)/python -m bench.edge

.PHONY: bench-http
REPEATS ?= 5
SECONDS ?= 5
ONLY ?=
PARTS ?=
bench-http: install .local/bench/.installed ## Measure HTTP beside five others (REPEATS=5 SECONDS=5 ONLY=plinth,fastapi PARTS=live,a,b,c)
	@$(BIN)/python -m bench.http --repeats=$(REPEATS) --seconds=$(SECONDS) --only=$(ONLY) --parts=$(PARTS)

.PHONY: bench-profile
ENGINE ?=
bench-profile: install .local/bench-profile/.installed ## Show where the CPU of a request goes, by layers (as root; ENGINE=uvicorn SECONDS=10)
	@$(BIN)/python -m bench.profile --seconds=$(SECONDS) $(ENGINE)

.local/bench-profile/.installed: bench/profile-requirements.txt
	@echo "Installing the profiler into .local/bench-profile (once)"
	@$(PYTHON) -m venv .local/bench-profile
	@.local/bench-profile/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/profile-requirements.txt
	@touch $@

.PHONY: bench-sockets
CLIENTS ?= 1000
ROUNDS ?= 5
bench-sockets: install .local/bench/.installed ## Measure realtime beside FastAPI on uvicorn (CLIENTS=1000 ROUNDS=5)
	@$(BIN)/python -m bench.sockets $(CLIENTS) $(ROUNDS)

.local/bench/.installed: bench/requirements.txt
	@echo "Installing the peer into .local/bench (once)"
	@$(PYTHON) -m venv .local/bench
	@.local/bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.txt
	@touch $@

.PHONY: bench-tasks
TASKS ?= 5000
bench-tasks: install .local/bench-tasks/.installed ## Measure tasks beside procrastinate, pgqueuer and saq (TASKS=5000 ROUNDS=5)
	@$(BIN)/python -m bench.tasks $(TASKS) $(ROUNDS)

.local/bench-tasks/.installed: bench/tasks-requirements.txt
	@echo "Installing the peers into .local/bench-tasks (once)"
	@$(PYTHON) -m venv .local/bench-tasks
	@.local/bench-tasks/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/tasks-requirements.txt
	@touch $@

check: install ## Format, lint, types, import contracts: what CI checks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install ## Let ruff format and fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: install ## Compile pyproject.toml, and what the bench needs, into hash-pinned lock files
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --no-emit-package plinth -c requirements.txt pyproject.toml -o requirements-dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header bench/requirements.in -o bench/requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header bench/tasks-requirements.in -o bench/tasks-requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header bench/profile-requirements.in -o bench/profile-requirements.txt

clean: ## Remove .venv, caches and the data in .local/
	@rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Containers
.PHONY: up down logs psql redis-cli watch secrets engine offline-images test-compose

up: ## Run the full stack in containers: PostgreSQL, Redis, migrations, server
	@docker/compose up --build --wait
	@echo "Up: http://$$(docker compose port app 8000) (make logs, make down)"

down: ## Stop the stack; its data stays (docker compose down --volumes removes it too)
	@docker/compose down

logs: ## Follow the stack's logs
	@docker/compose logs --follow --tail 100

psql: ## Open psql on the stack's database
	@docker/compose exec postgres psql --username plinth plinth

redis-cli: ## Open redis-cli on the stack's Redis
	@docker/compose exec redis redis-cli

watch: ## Run the stack and rebuild the server at every change of its files
	@APP_SERVER__DRAIN_DELAY=0 docker/compose watch

secrets: ## Make the secret files that the stack and the image build use
	@$(PYTHON) docker/make_secrets.py

engine: ## Provide a Docker engine on a bare Debian machine (as root)
	@.ci/engine start

offline-images: ## Build postgres:18, redis:8 and python:3.13-slim where no registry answers
	@docker/offline/build.sh

test-compose: install ## Run every test against the services of compose.test.yaml
	@docker/test-compose $(BIN)/pytest $(PYTEST_ARGS)
