# Everything a person or CI does with a checkout. Each target sets up what it needs; `make help` lists them.

PYTHON  ?= python3
WORKERS ?= 2
ARGS    ?=

VENV  := $(CURDIR)/.venv
BIN   := $(VENV)/bin
UV    := $(VENV)/.uv
READY := $(VENV)/.ready

# A line on standard error says what a step does and how long it takes on a usual machine.
SAY     := @echo "make:"
INSTALL := "$(BIN)/uv" pip install --quiet --python "$(BIN)/python" --no-deps
COMPILE := "$(BIN)/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

# uv leaves modules uncompiled unless told, and every start of a program would then parse all of numpy and numba again.
export UV_COMPILE_BYTECODE = 1
# Some shells forbid bytecode, to the same effect; a foreign path or environment would shadow what the lock installed.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help run test check lint types bench soak mutants ml setup lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## a day in the default town and its summary; other options with ARGS="--seed 3"
	@"$(BIN)/townlet" run $(ARGS)

test: $(READY) ## the test suite; a part of it with ARGS="tests/house"
	@"$(BIN)/townlet" warmup
	$(SAY) "running the tests on $(WORKERS) workers; the whole suite takes about ten minutes on two cores" >&2
	@"$(BIN)/python" -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: lint types ## all that CI checks: lint, import contracts, types, and the test suite last
	@$(MAKE) --no-print-directory test

lint: $(READY) ## style, format, import contracts
	$(SAY) "checking style, format and import contracts, a few seconds" >&2
	@"$(BIN)/ruff" check
	@"$(BIN)/ruff" format --check
	@"$(BIN)/lint-imports" --no-logo

types: $(READY) ## static types
	$(SAY) "checking types, about a minute the first time" >&2
	@"$(BIN)/mypy"

bench: $(READY) ## how fast the town is on this machine
	$(SAY) "measuring, some seconds for each case" >&2
	@"$(BIN)/townlet" bench $(ARGS)

soak: $(READY) ## a thousand kills of a town and its collector, about ten minutes: nothing may be lost silently
	@"$(BIN)/townlet" warmup
	$(SAY) "killing a town and its collector a thousand times, about ten minutes" >&2
	@"$(BIN)/python" -m tests.telemetry.kills --kills 1000 $(ARGS)

mutants: $(READY) ## small mistakes in a copy of the project that no test notices; of a folder with ARGS="townlet_core"
	@"$(BIN)/python" -m tests.mutants $(ARGS)

setup: $(READY) ## the environment in .venv, from the lock; the targets above see to it themselves

# uv does not read pip's setting for a folder of wheels, where a CPU build of PyTorch may lie.
ml: export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
ml: $(READY) ## adds the extra `ml`: PyTorch and what goes with it
	$(SAY) "installing PyTorch and what goes with it, some minutes: a CPU build takes 700 MB" >&2
	@$(INSTALL) --require-hashes -r requirements/ml.lock
	@"$(BIN)/uv" pip install --quiet --python "$(BIN)/python" -r requirements/torch.txt
	@"$(BIN)/uv" pip check --quiet --python "$(BIN)/python"

lock: $(UV) ## renew the locks after an edit of pyproject.toml; the newest versions with ARGS=--upgrade
	$(SAY) "resolving three locks, some seconds each" >&2
	$(COMPILE) $(ARGS) requirements/bootstrap.in --output-file requirements/bootstrap.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra dev --output-file requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra ml --constraint requirements.lock --excludes requirements/no-cuda.txt \
	    --no-emit-package torch --output-file requirements/ml.lock

clean: ## remove the environment and all caches; runs/ stays
	rm -rf "$(VENV)" build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find townlet townlet_core townlet_plugins townlet_adapters tests -name __pycache__ -prune -exec rm -rf {} +

# pip's only task is to install uv, by the hashes of its own small lock.
$(UV): requirements/bootstrap.lock
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "make: there is no '$(PYTHON)' here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("make: $(PYTHON) is Python %d.%d, and Townlet needs 3.11 or newer. Name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	$(SAY) "making the environment in .venv, some seconds" >&2
	@"$(PYTHON)" -m venv "$(VENV)"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

# Without isolation the build backend comes from the lock, too, instead of from wherever pip would look for it.
$(READY): $(UV) requirements.lock pyproject.toml
	$(SAY) "installing the locked dependencies, about a minute with a fast network, once; .venv takes 500 MB" >&2
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation --editable .
	@"$(BIN)/uv" pip check --quiet --python "$(BIN)/python"
	@touch $@
