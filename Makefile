# Two commands on a fresh machine: `make demo` and `make test`. Needs python3 (3.11 to 3.13) and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow check format

help:  ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED)  ## create .venv with the tested versions (once; about 6 GB, some minutes)

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
	  { echo "$(PYTHON) is not there: install Python 3.11 to 3.13, or name one: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "$$($(PYTHON) --version 2>&1) does not do: 3.11 to 3.13 is needed, name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) comes without venv and ensurepip: install them (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -c constraints.txt -e ".[dev]"
	@touch $@

demo: install  ## train and compare on drawn streets; prints a table, writes a page
	$(RUN) -m uda_seg compare table=demo jobs=2

test: install  ## the fast tests
	$(RUN) -m pytest -q

test-slow: install  ## all tests, the slow ones too
	$(RUN) -m pytest -q -m ""

check: install  ## ruff and mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: install  ## let ruff mend what it can
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
