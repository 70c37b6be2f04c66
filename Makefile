# The commands people type. Each does its own set-up; a machine needs Python 3.11+ (with venv and pip), make and git, nothing else.
#
#   make run PYTHON=python3.12          another interpreter
#   make run PORT=9000 ARGS="--sync off"
#   make test LANES="unit faults"       only these lanes

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check --no-input
LANES  :=
ARGS   :=

# HOST and PORT count only when typed: shells export HOST for purposes of their own, and an exchange must not listen where nobody asked.
ADDRESS := $(if $(filter command,$(firstword $(origin HOST))),--host $(HOST)) \
           $(if $(filter command,$(firstword $(origin PORT))),--port $(PORT))

# The environment is named by what went into it. The folder is part of that, because an installed command holds absolute paths:
# a moved checkout installs again instead of running somebody else's code.
digest    = $(shell { pwd; cat pyproject.toml $(1); } | git hash-object --stdin)
RUN_READY := $(VENV)/.ready-run-$(call digest,requirements.txt)
DEV_READY := $(VENV)/.ready-dev-$(call digest,requirements-dev.txt)

# Settings of the caller's shell that would change what our Python is.
unexport PYTHONPATH PYTHONHOME PYTHONOPTIMIZE NUMBA_DISABLE_JIT NUMBA_BOUNDSCHECK CASHEW_BOUNDSCHECK

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast check bench nightly soak lock clean

help: ## this list
	@echo "cashew exchange"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

install: $(DEV_READY) ## make .venv with everything, tests and benches included, and compile the kernels
	@$(PY) -m engine.compile

run: $(RUN_READY) ## start the exchange with cashew contracts, demo members and bots (HOST, PORT, ARGS); Ctrl-C ends it
	@$(PY) -m engine.compile
	@exec $(VENV)/bin/cashew serve --demo --data .run/venue $(strip $(ADDRESS) $(ARGS))

test: $(DEV_READY) ## run every test, lane by lane, each within its budget (LANES)
	@exec $(PY) -m tests.lanes $(LANES)

test-fast: $(DEV_READY) ## the quick part of the tests, under two minutes
	@exec $(PY) -m tests.lanes --fast $(LANES)

nightly: $(DEV_READY) ## the full counts that do not fit into `make test`
	@exec $(PY) -m tests.lanes --nightly $(LANES)

soak: $(DEV_READY) ## 100 million generated commands through both matchers, for days (ARGS="--commands 1000000")
	@exec $(PY) -m tests.properties.soak $(ARGS)

check: $(DEV_READY) ## lint, format, house rules, types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m tests.house
	@$(PY) -m mypy

bench: $(DEV_READY) ## run the benchmarks and write benchmarks/RESULTS.md (ARGS)
	@$(PY) -m engine.compile
	@exec $(PY) -m benchmarks.run $(ARGS)

clean: ## remove everything that was made here, the demo venue's log included
	@rm -rf .venv .run .coverage* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks build dist *.egg-info
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

$(RUN_READY):
	$(call environment,requirements.txt)
	@rm -f $(VENV)/.ready-* && touch $@

# What the tests need contains what the exchange needs, so one install makes both ready.
$(DEV_READY):
	$(call environment,requirements-dev.txt)
	@rm -f $(VENV)/.ready-* && touch $(RUN_READY) $@

# An environment that was half made, or whose interpreter has gone, is made anew.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed, and '$(PYTHON)' says: $$($(PYTHON) --version 2>&1 || true). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "'$(PYTHON)' lacks the venv module (Debian and Ubuntu keep it in the package python3-venv)." >&2; exit 1; }
	@$(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "[1/3] making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "[2/3] installing the $$(grep -c '==' $(1)) packages of $(1), each checked against its hash (about a minute the first time)"
	@$(PIP) install --require-hashes -r $(1)
	@echo "[3/3] installing the exchange itself"
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
endef

# Pins move only here. The result names no index, no folder and no machine.
LOCK := --quiet --generate-hashes --strip-extras --allow-unsafe --build-deps-for=editable --no-header --annotation-style=line \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: ## resolve the dependencies again and write both requirements files (ARGS=--upgrade)
	@mkdir -p .run && $(PYTHON) -m venv .run/lock && .run/lock/bin/python -m pip install --quiet pip-tools
	.run/lock/bin/pip-compile $(LOCK) $(ARGS) -o requirements.txt pyproject.toml
	.run/lock/bin/pip-compile $(LOCK) $(ARGS) --extra dev -c requirements.txt -o requirements-dev.txt pyproject.toml
	@rm -rf .run/lock
