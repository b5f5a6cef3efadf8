# make setup       install everything into .venv
# make quickstart  train, measure, export and use two classifiers on the sample data
# make test        all checks and tests, as CI runs them: make test JOBS=4
# make device-test the same scores on every target, bit for bit, and its size: make device-test DEVICE="--only cortex-m4"
# make fuzz        the core's reader and predictor under libFuzzer: make fuzz SECONDS=60
# make lint        the checks alone
# make format      apply the formatters, and write pipelines/default.toml anew
# make runtime-wheel  a wheel of the runtime alone, in dist/
# make bench       accuracy, size and latency beside a peer: make bench SETS="sets/banking77 sets/clinc150"
# make clean       remove what was built, but not .venv

SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(wildcard projgraph/core/*.c projgraph/core/*.h)
WASM := $(wildcard projgraph/core/wasm/*.c projgraph/core/wasm/*.h)
KERNELS := $(wildcard projgraph/kernels/*.c projgraph/kernels/*.h)
C_FILES := $(CORE) $(WASM) $(KERNELS) $(wildcard projgraph/pack/*.c examples/android/*.c tests/device/*.[ch] tests/fuzz/*.[ch])
CC ?= cc
C_FLAGS := -std=c99 -O2 -Wall -Wextra -Werror -pedantic -ffp-contract=off

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test device-test fuzz lint format runtime-wheel bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(VENV)/.installed

# The stamp is touched last, so an interrupted install starts again. setuptools would keep an extension that is newer
# than its sources, whatever pyproject.toml says of its flags: hence the rm. graphlearning has no wheels, and its setup.py
# imports numpy, so numpy is there before it.
$(VENV)/.installed: pyproject.toml setup.py constraints.txt $(CORE) $(WASM) projgraph/core/wasm_core.py $(KERNELS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "projgraph needs Python 3.11 or later, $(PYTHON) is " + sys.version.split()[0] + ": make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -f projgraph/_core*.so projgraph/_kernels*.so projgraph/core/wasm/*.wasm
	$(BIN)/python -m pip install -c constraints.txt setuptools wheel numpy
	$(BIN)/python -m pip install -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

quickstart: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/quickstart.sh

# One thread a process: the tests are small, and threads that wait for one another cost more than they give. A file's
# tests stay in one process, since they share what is built or trained once.
JOBS ?= 2
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

DEVICE ?=
device-test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.device.run $(DEVICE)

SECONDS ?= 60
FUZZ ?=
fuzz: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(FUZZ)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	for source in projgraph/core/pg_*.c projgraph/core/host*.c $(filter-out %/module.c,$(filter %.c,$(KERNELS))); do $(CC) $(C_FLAGS) -c $$source -o /dev/null || exit 1; done

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(C_FILES)
	$(BIN)/python tests/test_pipelines.py > .default.toml && mv .default.toml pipelines/default.toml

runtime-wheel: setup
	$(BIN)/python runtime/stage.py build/runtime
	$(BIN)/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist build/runtime

SETS ?= data/home_intents
bench: setup
	$(BIN)/python benchmarks/accuracy.py $(SETS) --labels 5 all --seeds 0 1 2

clean:
	rm -rf build dist quickstart projgraph.egg-info projgraph/_core*.so projgraph/_kernels*.so projgraph/core/wasm/*.wasm
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f $(VENV)/.installed
