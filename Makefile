# make lesson · make lesson SEEDS="0 1 2" · make lesson DATA=folder · make quick · make test · make lab · make weights NAMES="vgg16"
# make exercises · make extras
# make classifier DATA=folder MINUTES=10 OUT=folder AGAIN=1 · make label CLASSIFIER=folder DATA=folder OUT=labels.csv COPY=folder
# make page CLASSIFIER=folder
# For authors: make lock · make pretrain PACKED=folder · make kitchen POOL=folder

PYTHON ?= $(shell command -v python3.11 || command -v python3)
IN = .venv/bin/python
INSTALL = $(IN) -m pip install --quiet --disable-pip-version-check --require-hashes
COMPILE = uv pip compile --universal --generate-hashes --python-version 3.11 --no-header

# A folder may have any name, so neither make nor the shell reads it: it goes through the environment.
ifeq ($(filter label,$(MAKECMDGOALS)),)
DATA ?= kitchen
endif
SEEDS ?= 0
NAMES ?=
override DATA := $(value DATA)
override SEEDS := $(value SEEDS)
override NAMES := $(value NAMES)
override OUT := $(value OUT)
override COPY := $(value COPY)
override CLASSIFIER := $(value CLASSIFIER)
export DATA SEEDS NAMES MINUTES OUT AGAIN CLASSIFIER COPY
unexport MPLBACKEND

GOALS = lesson lab exercises classifier label page weights quick test extras lock pretrain kitchen
UNKNOWN = $(filter-out $(GOALS) .venv/%,$(MAKECMDGOALS))
ifneq ($(UNKNOWN),)
$(error There is no "$(UNKNOWN)" to make; put in quotes what has spaces, as in SEEDS="0 1 2", and no space after =)
endif

lesson lab exercises label page weights: .venv/installed
	$(IN) -m commands.$@

classifier: .venv/installed
	$(IN) -m commands.classify

quick test: export HOTDOG_BUILD = $(CURDIR)/build/test

quick: .venv/installed-dev
	$(IN) -m ruff check
	$(IN) -m ruff format --check
	$(IN) -m pytest -n auto -m "not slow" tests

# Without progress bars, for nbval does not see the end of a cell that sends too much.
test: .venv/installed-dev
	$(IN) -m pytest -n auto tests
	TQDM_DISABLE=1 $(IN) -m pytest --nbval-lax --nbval-cell-timeout=1200 notebooks/*.ipynb exercises/*.ipynb

# What needs a package index or a browser: where it can't run it fails.
extras: .venv/installed-extras
	$(IN) -m pytest tests/extras

.venv/installed: requirements.txt
	$(PYTHON) -m commands.check
	$(PYTHON) -m venv .venv
	$(INSTALL) -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(INSTALL) -r requirements-dev.txt
	touch $@

.venv/installed-extras: requirements-extras.txt .venv/installed-dev
	$(INSTALL) -r requirements-extras.txt
	touch $@

lock:
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) requirements-extras.in -o requirements-extras.txt

pretrain:
	python data/make/pretrain/pretrain.py $(PACKED) build/pretrain --pictures 520000

kitchen:
	python data/make/kitchen/run.py $(POOL) --first 0 --last 1100 --processes 2 --hard-share 0.35
	python data/make/kitchen/run.py $(POOL) --first 1100 --last 2150 --processes 2
	python data/make/kitchen/run.py $(POOL) --first 2150 --last 2450 --processes 2 --hard-share 0

.PHONY: $(GOALS)
