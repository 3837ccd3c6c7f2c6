# make study: a first study on scikit-learn's digits. make test: the tests. Both set up the virtual environment first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What starts a real Ray: a minute after its cluster has gone, Ray may end the process that had used it.
RAY := tests/cli/test_cluster.py tests/studies/running/cluster/test_commands.py tests/studies/running/cluster/test_trials.py
# A file is a process's, so that what its tests share is made once.
TEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# Who asks Python to keep no bytecode would wait in every process that tests start: a thousand files compiled anew each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: study test test-all trackio litert check bench simulate fuzz mutate soak examples site release setup clean help

study: $(READY)  ## the first study: five techniques on handwritten digits, five seeds, a minute
	$(BIN)/stepladder study digits --recipe first

test: $(READY)  ## the tests that take less than two seconds each, and the smallest real study, command and cluster
	$(TEST) -m 'not long and not soak and not ray'
	$(BIN)/python -m pytest -m 'ray and not long and not soak' $(lastword $(RAY))  # the others are all for make soak

test-all: $(READY)  ## all tests but those of make soak, which take minutes each
	$(TEST) -m 'not soak and not ray'
	$(BIN)/python -m pytest -m 'ray and not soak' $(lastword $(RAY))

check: $(READY)  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Trackio needs a Pillow before 13, and the rest was tested with 13. Its own environment takes all else from .venv.
trackio: $(READY)  ## the test of the tracker Trackio, in an environment of its own beside .venv
	$(PYTHON) -m venv .trackio
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"), "$(CURDIR)/src", sep="\n")' > \
	  "$$(.trackio/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth"
	.trackio/bin/python -m pip install --quiet --disable-pip-version-check 'trackio>=0.43,<1'
	$(BIN)/python -m pytest -m 'soak or not soak' tests/studies/track/test_trackio.py

# LiteRT's converter brings JAX and transformers, 2 GB, and a typing_extensions that is too old for pydantic: .venv's serves.
litert: $(READY)  ## the tests of files for LiteRT, in an environment of its own beside .venv
	$(PYTHON) -m venv .litert
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"), "$(CURDIR)/src", sep="\n")' > \
	  "$$(.litert/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth"
	.litert/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'litert-torch>=0.10'
	.litert/bin/python -m pip uninstall --quiet --disable-pip-version-check --yes typing_extensions anyio
	.litert/bin/python -m pytest tests/model/test_litert_file.py

bench: $(READY)  ## training speed against plain PyTorch, measured here
	$(BIN)/stepladder bench engine

simulate: $(READY)  ## do the verdicts keep their error rates? 20,000 made-up studies a setting, a minute
	$(BIN)/python -m benchmarks simulate

fuzz: $(READY)  ## 10,000 damaged files for each reader of foreign bytes: a value or a sentence, in bounded time and memory
	$(BIN)/python -m benchmarks fuzz

mutate: $(READY)  ## small mistakes put into the code, 10 a room: do the tests notice? ten minutes; ARGS=--all for all, a day
	$(BIN)/python -m benchmarks mutate $(ARGS)

soak: $(READY)  ## the long tests, then an hour of studies killed at random moments: the same bits, memory and files flat?
	$(TEST) -m 'soak and not ray'
	for file in $(RAY); do $(BIN)/python -m pytest -m ray $$file || exit 1; done
	$(BIN)/python -m benchmarks soak

examples: $(READY)  ## every command, program and notebook that README and docs/ show, on few images, and the site in a browser
	$(BIN)/python -m pytest -m 'soak or not soak' --numprocesses auto tests/test_examples.py tests/test_site.py \
	  tests/test_readme.py tests/answers/test_notebooks.py tests/api/test_notebook.py

site: $(READY)  ## the documentation as a site, in .site/html: open index.html
	$(BIN)/python docs/make_site.py

release: $(READY)  ## build what would be published, and try it in an empty environment
	$(BIN)/python .ci/release.py

setup: $(READY)  ## the virtual environment, and everything installed into it

# The constraint is exact, so pip takes a CPU build of it wherever it finds one (a local version ranks higher).
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Stepladder needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make setup PYTHON=python3.11"; exit 2; }
	@echo "Setting up $(VENV): one to three minutes; 300 MB with the CPU build of PyTorch, more with CUDA (README) …"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

clean:  ## remove the virtual environment and what the tools left
	rm -rf $(VENV) .trackio .litert .browser .site .pictures .cache dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10
