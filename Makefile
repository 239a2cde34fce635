# make demo | test | lint | bench | services (a PostgreSQL server and a browser for tests, as root; without them those tests are skipped)
# make model FERPLUS=FOLDER: trains the model in the box again, from a face set of FER+; it goes on where it was interrupted
# make card FERPLUS=FOLDER: sets from which probability on the model in the box is sure, and writes its README again
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench services model card

demo: $(VENV)/core
	rm -rf demo
	$(BIN)/mien demo --out demo

test: $(VENV)/develop
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

BOX = src/mien/recognize/weights/mien-s
ALIGN = eyes distance=0.37 height=0.39; mtcnn; largest

model: $(VENV)/core
	$(BIN)/mien $(if $(wildcard build/mien_s),resume build/mien_s,train $(FERPLUS) --recipe ferplus_long --seed 0 --out build/mien_s)
	rm -rf build/box
	$(BIN)/mien export build/mien_s build/box --align '$(ALIGN)'
	$(BIN)/python benchmarks/model_card.py $(FERPLUS) build/box
	rm -rf $(BOX)
	mv build/box $(BOX)

card: $(VENV)/core
	$(BIN)/python benchmarks/sure.py $(FERPLUS) $(BOX)
	$(BIN)/python benchmarks/model_card.py $(FERPLUS) $(BOX)

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
