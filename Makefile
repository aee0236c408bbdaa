# `make help` lists the targets. Each makes what it needs: the first one that runs installs everything into .venv (a few minutes,
# mostly PyTorch), later ones start at once. PYTHON=python3.12 make ... chooses another interpreter for that.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
CHROMA := .venv-chroma
CHROMA_READY := $(CHROMA)/chromadb-1.5.9
CONSTRAINTS := .ci/constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# An environment variable, not an option, so that pip builds hnswlib and the package itself with pinned tools too. The path is
# relative because pip takes a space in it for the start of a second file.
export PIP_CONSTRAINT := $(CONSTRAINTS)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-clients test-faults check bench binder clean system-packages

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(READY)  ## run the quickstart notebook and show what it finds
	@$(BIN)/python notebooks/run.py notebooks/00_quickstart.ipynb --into build

test: system-packages $(READY)  ## linter, types and all tests, the examples in docstrings included
	@failed=; \
	$(MAKE) --no-print-directory lint || failed=1; \
	$(BIN)/python -m pytest --durations=10 || failed=1; \
	test -z "$$failed"

test-clients: system-packages $(READY) $(CHROMA_READY)  ## all generations of Chroma's clients on our server, our client on Chroma's
	@unset PIP_CONSTRAINT; $(BIN)/python -m tests.clients.environments
	@CHROMA_NB_CLIENTS=all $(BIN)/python -m pytest tests/clients
	@CHROMA_PYTHON="$(CURDIR)/$(CHROMA)/bin/python" $(BIN)/python -m pytest tests/contract tests/chromadb --backends=chroma

test-faults: $(READY)  ## kills, interrupts, failures and hostile input many times over, before a release (an hour or two)
	@$(BIN)/python -m pytest -m long tests

check: $(READY) lint  ## linter, formatting, types and the layer rules, without the other tests
	@$(BIN)/python -m pytest --quiet tests/test_layers.py tests/test_imports.py

bench: $(READY) $(CHROMA_READY)  ## measure against Chroma itself, which gets its own environment
	@CHROMA_PYTHON="$(CURDIR)/$(CHROMA)/bin/python" $(BIN)/python -m tests.benchmarks
	@CHROMA_PYTHON="$(CURDIR)/$(CHROMA)/bin/python" $(BIN)/python -m tests.benchmarks.http_speed
	@$(BIN)/python -m tests.benchmarks.http_busy
	@$(BIN)/python -m tests.benchmarks.proxy_speed
	@$(BIN)/python -m tests.benchmarks.map_numbers

binder: $(READY)  ## do in a clean environment what binder/ says, and report time and memory
	@$(BIN)/python binder/check.py

clean:  ## remove what the tools left, keep the environments
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find chroma_nb extension notebooks tests -name __pycache__ -prune -exec rm -rf {} +
	@echo "The environments stay; to remove them too: rm -rf $(VENV) $(CHROMA) .venv-clients"

.PHONY: lint
lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

system-packages:
	@PYTHON=$(PYTHON) bash .ci/system-packages

# PyTorch goes first and alone: whatever comes after finds it there and does not choose another build of it.
$(READY): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "chroma_nb needs Python 3.10 or newer, and $(PYTHON) is not: PYTHON=python3.12 make ..." >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || \
	    { echo "hnswlib is built from source and needs a C++ compiler (Debian: apt-get install g++ python3-dev; macOS: xcode-select --install)" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing PyTorch (1 of 2)"
	@$(PIP) install "$$(grep '^torch==' $(CONSTRAINTS))"
	@echo "Installing chroma_nb with everything it can use (2 of 2)"
	@$(PIP) install --editable '.[all,dev]'
	@touch $@

$(CHROMA_READY):
	@echo "Making $(CHROMA) with chromadb 1.5.9"
	@$(PYTHON) -m venv --clear $(CHROMA)
	@unset PIP_CONSTRAINT; $(CHROMA)/bin/python -m pip --disable-pip-version-check -qq install chromadb==1.5.9
	@touch $@
