# make demo | core (what reads photos) | extras (all of mien's) | test | lint | bench | locks (anew, from pyproject.toml)
# make release: builds, checks and tags what is committed (release.sh); nothing is uploaded
# make site: the docs as pages to read in a browser, in build/site; a warning is an error
# make web: what the page in the browser runs on, from npm; without npm mien serve has no page, and its tests are skipped
# make services: a PostgreSQL server, a browser, openssl and strace for tests, as root; without them those tests are skipped
# bash tests/again.sh [--load] [--shuffle]: the tests ten times, to find those that depend on how fast or busy a machine is
# make model FERPLUS=FOLDER: trains the model in the box again, from a face set of FER+; it goes on where it was interrupted
# make student SIZE=xs FERPLUS=FOLDER (or SIZE=m): a smaller or a larger model, in build
# make card FERPLUS=FOLDER WEB=FOLDER: sets from which probability on the model in the box is sure, and writes its README again;
#   WEB, a face set of web faces with the column subject, may be given to make model and make student, too
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
# Every package by its version and by a hash of its file. Nothing is built but mien itself, with what the lock brings.
LOCKED = $(PIP) --require-hashes --only-binary :all: --requirement
WANTS_CUDA = $(BIN)/python -c "import importlib.metadata as m; raise SystemExit('nvidia' not in str(m.requires('torch')))"

.PHONY: core demo extras release test lint bench locks services model card site web

demo: $(VENV)/train
	rm -rf demo
	$(BIN)/mien demo --out demo

# What Python compiled is kept, though the environment should say otherwise: each of the many processes would compile all of mien anew.
test: $(VENV)/develop web
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Once: it looks for what is there first.
web: $(VENV)/develop
	$(BIN)/python locks/npm.py

site: $(VENV)/docs
	$(BIN)/zensical build --clean --strict

BOX = src/mien/recognize/weights/mien-s
SURE = --shifted --unlike --most-unsure 0.25 $(if $(WEB),--also $(WEB))
ALIGN = eyes distance=0.37 height=0.39; mtcnn; largest

model: $(VENV)/train
	$(BIN)/mien $(if $(wildcard build/mien_s),resume build/mien_s,train $(FERPLUS) --recipe ferplus_long --seed 0 --out build/mien_s)
	rm -rf build/box
	$(BIN)/mien export build/mien_s build/box --align '$(ALIGN)'
	$(BIN)/python benchmarks/sure.py $(FERPLUS) build/box $(SURE)
	$(BIN)/python benchmarks/model_card.py $(FERPLUS) build/box
	rm -rf $(BOX)
	mv build/box $(BOX)

# A smaller and a larger model, each resumed where it stopped: make student SIZE=xs, which comes with mien, or SIZE=m, not run yet.
SIZE = xs
student: $(VENV)/train
	$(BIN)/mien $(if $(wildcard build/mien_$(SIZE)),resume build/mien_$(SIZE),train $(FERPLUS) --recipe ferplus_$(SIZE) --seed 0 --out build/mien_$(SIZE))
	rm -rf build/box_$(SIZE)
	$(BIN)/mien export build/mien_$(SIZE) build/box_$(SIZE) --align '$(ALIGN)'
	$(BIN)/python benchmarks/sure.py $(FERPLUS) build/box_$(SIZE) $(SURE)
	$(BIN)/python benchmarks/model_card.py $(FERPLUS) build/box_$(SIZE) --name mien-$(SIZE)
ifeq ($(SIZE),xs)
	rm -rf $(dir $(BOX))mien-xs
	mv build/box_xs $(dir $(BOX))mien-xs
endif

core: $(VENV)/core

extras: $(VENV)/extras

locks: $(VENV)/uv
	$(BIN)/python locks/lock.py

card: $(VENV)/train
	$(BIN)/python benchmarks/sure.py $(FERPLUS) $(BOX) $(SURE)
	$(BIN)/python benchmarks/model_card.py $(FERPLUS) $(BOX)

release: $(VENV)/develop web
	BIN=$(BIN) bash release.sh

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

$(VENV)/core: pyproject.toml locks/core.txt | $(BIN)/python
	$(LOCKED) locks/core.txt
	$(PIP) --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@

$(VENV)/train: $(VENV)/core locks/train.txt locks/cuda.txt locks/torch_cpu.txt
	$(LOCKED) locks/torch_cpu.txt --no-index 2>/dev/null || true
	$(LOCKED) locks/train.txt
	if $(WANTS_CUDA); then $(LOCKED) locks/cuda.txt; fi
	$(BIN)/python -m pip check
	touch $@

$(VENV)/extras: $(VENV)/train locks/label.txt locks/extras.txt
	$(LOCKED) locks/label.txt
	$(LOCKED) locks/extras.txt
	$(BIN)/python -m pip check
	touch $@

$(VENV)/develop: $(VENV)/extras locks/develop.txt
	$(LOCKED) locks/develop.txt
	$(BIN)/python -m pip check
	touch $@

$(VENV)/docs: $(VENV)/develop locks/docs.txt
	$(LOCKED) locks/docs.txt
	$(BIN)/python -m pip check
	touch $@

$(VENV)/uv: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	touch $@
