# Five commands: make app, make test, make check, make format, make bench. Each makes what it needs first.
# Needed on the machine: Python 3.11 or newer, git and make.

PYTHON ?= python3
VENV ?= .venv
# Test processes; each computes on one core.
JOBS ?= 2
# Package index for the torch line alone; empty: the one pip uses for everything.
TORCH_INDEX ?=
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

.DEFAULT_GOAL := help
.PHONY: help app test check format bench

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="..."        handed on by app (ARGS="--help") and test (ARGS="-k layers")'
	@echo '  PYTHON=python3.12 builds $(VENV) with another Python, 3.11 or newer'
	@echo '  TORCH_INDEX=URL   takes torch from another index, such as the CPU wheel index that'
	@echo '                    pytorch.org names: some GB smaller than the CUDA build'

app: $(RUNTIME)  ## start the app and print its address
	$(BIN)/python app.py $(ARGS)

# -ra (in pyproject.toml) ends the run with the reason of every skip: no chromium, no browser tests.
# loadfile: the tests of one file share one process, so its models and servers are made once.
test: $(DEV)  ## run the tests; those that need chromium are skipped, with a line, without it
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: $(DEV)  ## format check, lint, types and tests: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(MAKE) test

bench: $(RUNTIME)  ## time everything against reference twins, on the CPU, in some minutes
	$(BIN)/python benchmarks/speed.py $(ARGS)

format: $(DEV)  ## write the format and the fixes that ruff is sure of
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# An environment that this file has built is emptied and built anew when a list changes.
# torch goes first and alone (--no-deps): its index may hold nothing else that fits, and what it
# depends on comes with the second line.
$(RUNTIME): requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed; name one: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -m venv $(if $(wildcard $@),--clear) $(VENV) || { \
	  echo 'No virtual environment could be made (on Debian and Ubuntu: install python3-venv).'; \
	  exit 1; }
	$(PIP) install --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(PIP) install -c constraints.txt -r requirements.txt
	$(BIN)/python -c 'from dualstyle.native import kernels; kernels()'  # compiled once
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.txt
	$(PIP) install -c constraints.txt -r requirements-dev.txt
	$(PIP) check
	@touch $@
