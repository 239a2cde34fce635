# make demo | test | lint | bench | services (a PostgreSQL server and a browser for tests, as root; without them those tests are skipped)
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench services

demo: $(VENV)/core
	rm -rf demo
	$(BIN)/mien demo --out demo

test: $(VENV)/develop
	$(BIN)/python -m pytest

lint: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

services:
	bash tests/install_services.sh

bench: $(VENV)/develop
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/open.py
	$(BIN)/python benchmarks/annealed.py
	$(BIN)/python benchmarks/face_net.py
	$(BIN)/python benchmarks/pool.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable .
	touch $@

$(VENV)/develop: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[test,lint]'
	touch $@
