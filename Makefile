# `make demo`, `make test` and `make check` each set up what they need in .venv.
# Windows without make: the same commands work with .venv\Scripts\python.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all check format clean

demo: .venv/.installed
	$(BIN)/python -m extune demo

test: .venv/.installed-dev
	$(BIN)/python -m pytest --numprocesses 2 -m "not slow"

test-all: .venv/.installed-dev
	$(BIN)/python -m pytest

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch first and by exact version, so that nothing that needs it can choose another build.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
