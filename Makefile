# Everything that a developer does. Needs Python 3.11 or newer and make; brings uv if there is none.

PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen
# The tests wait more than they compute.
WORKERS ?= 4
# Images of containers set it. Without compiled modules, every worker and every process that a test
# starts would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: setup ## Set everything up and serve on http://localhost:8080
	$(RUN) configsvc serve

.PHONY: test
test: check ## Set everything up and run every check

.PHONY: check
check: lint types audit pytest ## Lint, types, audit, and tests with branch coverage

.PHONY: setup
setup: $(UV) ## Make the virtual environment
	$(UV) sync --frozen --quiet

# Reached only where there is no uv on the PATH: a private one, from whatever this Python has.
.uv/bin/uv:
	@echo "Fetching uv into .uv ..."
	@$(PYTHON) -m venv .uv >/dev/null 2>&1 && .uv/bin/python -m pip install --quiet uv \
	  || { rm -rf .uv; $(PYTHON) -m pip install --quiet --target .uv uv; } \
	  || { echo "uv is needed, and this Python has neither venv nor pip to fetch it:" \
	       "install uv, or your system's python3-venv package."; exit 1; }

.PHONY: lint
lint: setup ## Check format, style and the direction of imports
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) lint-imports --no-cache

.PHONY: types
types: setup ## Check types
	$(RUN) mypy

# The locked packages of the server and the client with every extra. AUDIT="--ignore-vuln ID" leaves
# one out. Where the data can't be reached it says so, and passes.
.PHONY: audit
audit: setup ## Look for known vulnerabilities in what the packages depend on
	@$(UV) export --frozen --quiet --all-packages --all-extras --no-dev --no-emit-workspace \
	  --no-hashes --no-header --no-annotate | $(RUN) python tools/audit.py $(AUDIT)

# What tests run beside Python. On a machine with systemd, where a package would start its service at
# once, whoever owns it decides; without them, these tests are skipped and say so.
PROGRAMS ?= curl nginx promtool

.PHONY: programs
programs: ## Install the programs that tests run, as root in a container of Debian
	@missing=; for program in $(PROGRAMS); do \
	  PATH=$$PATH:/usr/sbin command -v $$program >/dev/null || missing="$$missing $$program"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	packages=$$(echo $$missing | sed 's/promtool/prometheus/'); \
	if [ "$$(id -u)" = 0 ] && [ ! -d /run/systemd/system ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends $$packages >/dev/null; \
	fi || true; \
	for program in $$missing; do \
	  PATH=$$PATH:/usr/sbin command -v $$program >/dev/null \
	    || echo "There is no $$program here: the tests that run it are skipped."; \
	done

.PHONY: pytest
pytest: setup programs ## Run the tests with branch coverage
	$(RUN) pytest -n $(WORKERS) --cov --cov-report=term $(ARGS)

.PHONY: quick
quick: setup ## The everyday check: lint, types and the tests that are fast
	$(RUN) ruff format --check --quiet .
	$(RUN) ruff check --quiet .
	$(RUN) mypy
	HYPOTHESIS_PROFILE=few $(RUN) pytest -n $(WORKERS) -q -m "not slow" $(ARGS)

.PHONY: hosts
hosts: setup ## Run the client in every host, and print what was measured as a table
	$(RUN) pytest -n 2 -q tests/hosts --hosts-table dist/hosts.md $(ARGS)

VERSION ?= 3.13

.PHONY: test-python
test-python: setup ## Run the tests on another Python: make test-python VERSION=3.13
	UV_PROJECT_ENVIRONMENT=.venv-$(VERSION) $(UV) run --frozen --quiet --python $(VERSION) \
	  pytest -n $(WORKERS) $(ARGS)

LOWEST_TESTS ?= tests/client tests/server

.PHONY: test-lowest
test-lowest: setup ## Run the tests of both packages on the lowest versions that they allow
	$(UV) venv --quiet --clear --python .venv/bin/python .venv-lowest
	$(UV) pip compile --quiet --python .venv-lowest/bin/python --resolution lowest-direct --all-extras \
	  --output-file .venv-lowest/versions.txt packages/client/pyproject.toml packages/server/pyproject.toml
	VIRTUAL_ENV=.venv-lowest $(UV) pip install --quiet --requirement .venv-lowest/versions.txt \
	  --group dev --editable packages/client --editable packages/server
	.venv-lowest/bin/pytest -p no:cacheprovider -n $(WORKERS) $(LOWEST_TESTS) $(ARGS)

.PHONY: format
format: setup ## Rewrite the code in the one format
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

.PHONY: build
build: setup ## Build the wheels into dist
	$(UV) build --all-packages

.PHONY: clean
clean: ## Remove what the other targets have made, but no data
	rm -rf .uv .venv .venv-* dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
