# make run    set everything up, start the app on http://localhost:7860
# make test   set everything up, run the tests
# make check  lint, formatting of imports, types, layers
# make run TORCH_INDEX_URL=... takes torch from that index first, for the small CPU-only build.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-long check format clean

VENV := .venv
PY := $(VENV)/bin/python
TORCH_INDEX_URL ?=
ARGS ?=
# pytest ends with 5 when ARGS leave one of its two calls without tests.
NONE_IS_FINE = || [ $$? = 5 ]

# One stamp a requirements file, named by its content: a changed pin is installed, an unchanged one costs nothing.
digest = $(shell cat $(1) 2>/dev/null | cksum | cut -d' ' -f1)
RUN_READY := $(VENV)/.ready-run-$(call digest,requirements.txt)
DEV_READY := $(VENV)/.ready-dev-$(call digest,requirements.txt requirements-c2pa.txt requirements-scale.txt requirements-dev.txt)
PIP = $(PY) -m pip install --disable-pip-version-check --no-input
SHOW = awk '/^ *(Downloading|Building|Successfully)/ {print substr($$0, 1, 110); fflush()}'
# They wait much of their time for browsers and other processes they started: two at a time, each file on its own.
BESIDE = -n 2 --dist loadfile
TORCH_PAIR = $(shell grep -E '^(torch|torchvision)==' requirements.txt)

help:
	@sed -n '1,4s/^# //p' Makefile

run: $(RUN_READY)
	$(PY) app.py $(ARGS)

test: $(DEV_READY)
	$(PY) -m pytest -m "not slow and not browser" -n auto --maxprocesses 4 --dist loadfile $(ARGS) $(NONE_IS_FINE)
	$(PY) -m pytest -m "browser and not slow" $(BESIDE) $(ARGS) $(NONE_IS_FINE)

test-slow: $(DEV_READY)
	$(PY) -m pytest -m "slow and not long" $(BESIDE) $(ARGS)

# Processes killed at work, whole trainings, compilations: before a release, and after a change to what they guard.
test-long: $(DEV_READY)
	$(PY) -m pytest -m long $(ARGS)

check: $(DEV_READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright --pythonpath $(PY)
	$(VENV)/bin/lint-imports

format: $(DEV_READY)
	$(VENV)/bin/ruff check --fix .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache

$(PY):
	@for name in python3 python3.13 python3.12 python3.11; do \
	    if command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Creating $(VENV) with $$($$name --version)"; exec $$name -m venv $(VENV); \
	    fi; \
	done; \
	echo "No Python 3.11 or newer was found. Install one (Debian: apt install python3 python3-venv), then try again." >&2; exit 1

$(RUN_READY): | $(PY)
	@echo "Installing what the app needs (once; several minutes and GB with a CUDA torch) ..."
ifneq ($(TORCH_INDEX_URL),)
	@$(PIP) --index-url $(TORCH_INDEX_URL) $(TORCH_PAIR) | $(SHOW)
endif
	@$(PIP) -r requirements.txt | $(SHOW)
	@rm -f $(VENV)/.ready-run-*; touch $@

$(DEV_READY): $(RUN_READY)
	@echo "Installing what the tests and checks need ..."
	@$(PIP) -r requirements-dev.txt | $(SHOW)
	@rm -f $(VENV)/.ready-dev-*; touch $@
