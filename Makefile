.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_OUT ?= runs/demo
SOURCES := pyproject.toml swarmopt_pruning/pyproject.toml constraints.txt
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# worksteal: neighbours stay in one process, so what a file shares is made once. Bytecode is kept,
# or each process that a test starts compiles everything again.
PYTEST := $(ONE_THREAD) PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test check format lint types fast coverage bench docs check-wheel check-lowest clean

help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## Install both packages, then prune a network of handwritten digits
	$(BIN)/swarmopt run --problem channel-prune --seed 1 --out $(DEMO_OUT) --overwrite

test: $(VENV)/.developed  ## Install everything, then run all tests
	$(PYTEST)

check: format lint types fast  ## Format, lint, types and the fast tests; under two minutes

format: $(VENV)/.developed  ## Tell whether the code is formatted
	$(BIN)/ruff format --check .

lint: $(VENV)/.developed  ## Lint
	$(BIN)/ruff check .

types: $(VENV)/.developed  ## Check types
	$(BIN)/mypy

fast: $(VENV)/.developed  ## Run the fast tests
	$(PYTEST) -m "not slow"

coverage: $(VENV)/.developed  ## Run all tests and show which branches none of them takes
	$(PYTEST) --cov --cov-report=term-missing

bench: $(VENV)/.developed  ## Measure the cost per candidate
	$(ONE_THREAD) $(BIN)/python -m benchmarks.overhead

docs: $(VENV)/.developed  ## Build the site of the documentation, into build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet -f docs/site/mkdocs.yml
	@echo build/docs/index.html

check-wheel: $(VENV)/.developed  ## Build and check all distributions, and try them in a fresh environment
	$(BIN)/python tests/check_wheel.py --python $(PYTHON)

check-lowest: $(VENV)/.developed  ## Run the tests with the lowest versions that pyproject.toml allows
	$(BIN)/python tests/check_wheel.py --lowest --python $(PYTHON)

clean:  ## Remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "swarmopt needs Python 3.11 or newer; try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python $(SOURCES)
	@echo 'installing both packages and torch, about a gigabyte: some minutes'
	$(INSTALL) -e . -e ./swarmopt_pruning
	@touch $@

$(VENV)/.developed: $(VENV)/bin/python $(SOURCES)
	$(INSTALL) -e '.[dev]' -e './swarmopt_pruning[onnx]'
	@touch $@ $(VENV)/.installed
