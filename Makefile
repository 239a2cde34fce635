# make demo | test | lint | bench
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench

demo: $(VENV)/core
	rm -rf demo
	$(BIN)/mien demo --out demo

test: $(VENV)/develop
	$(BIN)/python -m pytest

lint: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/develop
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/open.py
	$(BIN)/python benchmarks/annealed.py
	$(BIN)/python benchmarks/face_net.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable .
	touch $@

$(VENV)/develop: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[test,lint]'
	touch $@
