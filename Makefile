# Two commands do everything on a fresh machine: `make demo` and `make test`.
.PHONY: demo test lint format environment lock clean
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTEST_WORKERS ?= 2
# Processes share the cores, not threads: threads that wait for a busy core make small networks several times slower.
ONE_THREAD = OMP_NUM_THREADS=1

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

environment: ## make or finish .venv, with the pinned versions
	@tools/setup_environment.sh

demo: environment ## make a small video data set, train on it, evaluate, draw: work_dirs/demo
	@$(ONE_THREAD) .venv/bin/python -W ignore tools/demo.py

test: environment ## run all tests
	@$(ONE_THREAD) .venv/bin/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

lint: environment ## check style
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

format: environment ## mend style
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

lock: environment ## pin anew what follows from requirements/environment.in
	@.venv/bin/uv pip compile --universal --python-version 3.11 --no-annotate --no-header --quiet \
	  requirements/environment.in --excludes requirements/excluded.in -o requirements/lock.txt

clean: ## delete the environment; data and results stay
	@rm -rf .venv .setup.log .setup.lock mmpose_diffusion/.mim *.egg-info build
