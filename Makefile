# `make demo`, `make test` and `make check` each set up what they need in .venv.
# Windows without make: the same commands work with .venv\Scripts\python.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all test-vllm test-compress check format clean

demo: .venv/.installed
	$(BIN)/python -m extune demo

test: .venv/.installed-dev
	$(BIN)/python -m pytest --numprocesses 2 -m "not slow"

test-all: .venv/.installed-dev
	$(BIN)/python -m pytest

# What needs vLLM, in an environment of its own (3.5 GB); not called by .ci/run, because it takes longer than five minutes.
test-vllm: .venv-vllm/.installed
	.venv-vllm/bin/python -m pytest -k vllm tests/contract tests/engines/test_vllm_engine.py tests/engines/test_vllm_server.py tests/predicting/test_open_vllm.py \
		tests/stages/test_parity.py

# What needs llm-compressor, which has an environment of its own (1.5 GB) and is called from extune's.
test-compress: .venv/.installed-dev .venv-compress/.installed
	$(BIN)/python -m pytest -k llm_compressor tests/studies/test_quantization.py

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

# Where pip's index has no CPU build of torch: make test-vllm TORCH_INDEX=https://download.pytorch.org/whl/cpu
.venv-vllm/.installed: pyproject.toml requirements-vllm.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --upgrade pip
	.venv-vllm/bin/python -m pip install --quiet --no-deps --requirement requirements-vllm.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	.venv-vllm/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv-compress/.installed: requirements-compress.txt
	$(PYTHON) -m venv .venv-compress
	.venv-compress/bin/python -m pip install --quiet --upgrade pip
	.venv-compress/bin/python -m pip install --quiet --no-deps --requirement requirements-compress.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	touch $@

clean:
	rm -rf .venv .venv-vllm .venv-compress build .pytest_cache .mypy_cache .ruff_cache .hypothesis
