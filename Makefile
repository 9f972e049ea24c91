# Every target builds the virtual environment it needs by itself; it takes Python 3.11 or newer and a package registry.
# Where packages come from is pip's own configuration (PIP_INDEX_URL, pip.conf): nothing here names a host.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST_ARGS ?=
# Each test process starts servers of its own (about 1 GB with all of them).
TEST_PROCESSES ?= 2
PYTEST = $(BIN)/python -m pytest $(PYTEST_ARGS)
PYTEST_PARALLEL = $(PYTEST) --numprocesses $(TEST_PROCESSES) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo run test test-slow check format bench scale profile lock venv clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo: $(STAMP) ## start a store, a vault and the gateway, show every encryption mode with proof, stop
	$(BIN)/python -m demo

run: $(STAMP) ## the same, and keep it running for your own client
	$(BIN)/python -m demo --keep-running

test: $(STAMP) ## the test suite, with a real store and a real vault
	$(PYTEST_PARALLEL) -m 'not slow and not alone'
	$(PYTEST) -m 'not slow and alone' || [ $$? = 5 ] # 5: PYTEST_ARGS chose none of them

test-slow: $(STAMP) ## real client programs, every server, faults, memory: minutes
	$(BIN)/python -m lab.prepare
	$(PYTEST_PARALLEL) -m 'slow and not alone'
	$(PYTEST) -m 'slow and alone' || [ $$? = 5 ]

check: $(STAMP) ## formatting, lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure the gateway beside nginx and direct access, write docs/performance.md: a quarter of an hour
	$(BIN)/python -m bench

scale: $(STAMP) ## many connections, slow clients, overload; write docs/scaling.md: eight minutes
	$(BIN)/python -m bench.scale

profile: $(STAMP) ## where the gateway's time and memory go: minutes
	$(BIN)/python -m bench.profile

venv: $(STAMP) ## only build the virtual environment

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(STAMP) ## choose new versions for requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --group lab --group bench --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock
	@! grep -nE '://|^(-e|-f|-i|--)|file:| @ ' requirements.lock || { echo 'requirements.lock names an address' >&2; exit 1; }

clean: ## remove the virtual environment, caches and laboratory data
	rm -rf $(VENV) .lab .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
