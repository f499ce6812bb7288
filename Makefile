# Everything a checkout needs: `make demo` and `make test` do all the set-up themselves.
# VENV chooses the environment, PYTHON the interpreter that creates it (3.11 or newer).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# matrices here are small: a second thread of the linear algebra only spins, and starves the other worker
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

.PHONY: help demo test docs bench nightly clean

help:
	@echo "make demo     from patient records to a verdict per tumour type, in demo/"
	@echo "make test     style, types, import direction and the test suite"
	@echo "make docs     the pages and the API reference, in docs/_build"
	@echo "make bench    benchmarks"
	@echo "make nightly  the slow checks"
	@echo "make clean    remove the environment and everything that was made"

demo: $(VENV)/installed
	@$(BIN)/pkpd assess datasets/pantumor/plan.toml --output demo/

test: $(VENV)/installed-test
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo --no-cache > $(VENV)/lint-imports.txt || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/pkpd doctor --compile > $(VENV)/doctor.txt
	@$(PYTEST) -n 2 --dist loadfile

docs: $(VENV)/installed-test
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

bench: $(VENV)/installed-test
	@$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only

nightly: $(VENV)/installed-test
	@$(PYTEST) -m nightly
	@HYPOTHESIS_PROFILE=nightly $(PYTEST) -n 2 --dist loadfile

clean:
	@test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	rm -rf demo dist build docs/_build docs/api docs/api.rst docs/data_codes.rst .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache

# The stamps make a second call quick; a change of the dependencies installs again.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"pkpd needs Python 3.11 or newer; $(PYTHON) is {v.major}.{v.minor}. Try: make PYTHON=python3.12")'
	@echo "creating $(VENV) and installing pkpd (once) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -f $(VENV)/bin/python*; exit 1; }

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	@$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/installed
