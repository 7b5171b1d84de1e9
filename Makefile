# Two commands on a fresh machine with Python 3.11 to 3.13 and no compiler: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all bench lint install install-dev clean

$(VENV)/.base: pyproject.toml requirements/base.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/base.txt -e .
	touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/dev.txt -e ".[dev]"
	touch $@

install: $(VENV)/.base

install-dev: $(VENV)/.dev

demo: install
	$(BIN)/python examples/demo.py

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: install-dev lint
	$(BIN)/homespun models add starter
	$(BIN)/python -m pytest

test-all: test
	$(BIN)/python -m pytest -m long

bench: install-dev
	$(BIN)/homespun models add starter
	$(BIN)/python bench/engine.py
	$(BIN)/python bench/embed.py
	$(BIN)/python bench/answers.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
