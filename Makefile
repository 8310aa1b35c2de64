# make lesson · make lesson DATA=folder · make test · make lab
# For authors: make lock · make pretrain PACKED=folder · make kitchen POOL=folder

PYTHON ?= $(shell command -v python3.11 || command -v python3)
IN = .venv/bin/python
DATA ?= kitchen

lesson: .venv/installed
	$(IN) lesson.py "$(DATA)"

# Without progress bars, for nbval does not see the end of a cell that sends too much.
test: .venv/installed
	$(IN) -m pytest tests
	TQDM_DISABLE=1 $(IN) -m pytest --nbval-lax --nbval-cell-timeout=1200 notebooks/*.ipynb

lab: .venv/installed
	$(IN) -m jupyter lab notebooks

.venv/installed: requirements.txt
	$(PYTHON) check.py
	$(PYTHON) -m venv .venv
	$(IN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header requirements.in -o requirements.txt

pretrain:
	python data/make/pretrain/pretrain.py $(PACKED) build/pretrain --pictures 520000

kitchen:
	python data/make/kitchen/run.py $(POOL) --first 0 --last 1100 --processes 2 --hard-share 0.35
	python data/make/kitchen/run.py $(POOL) --first 1100 --last 2150 --processes 2
	python data/make/kitchen/run.py $(POOL) --first 2150 --last 2450 --processes 2 --hard-share 0

.PHONY: lesson test lab lock pretrain kitchen
