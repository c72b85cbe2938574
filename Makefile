# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
#
# `make help` lists what there is. ARGS is handed to pytest: make unit ARGS='tests/unit/test_tag_rule.py -x'

SHELL := /bin/bash
BIN := .venv/bin
STAGE := .ci/stage
PYTEST := $(BIN)/python -m pytest
ARGS ?=

# What runs here has a home of its own; that of whoever runs make is left alone.
unexport AIRFLOW_HOME AIRFLOW_CONFIG

# Stages share two cores and a log: one after the other, the quick ones first.
.NOTPARALLEL:
.PHONY: help setup setup-all constraints demo test lint docs unit cloud airflow quick-start browser fuzz chaos chaos-short registries bench build clean

help:  ## list these targets
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

setup:
	@$(STAGE) setup .ci/setup

setup-all:  ## system packages of all groups and the virtual environment
	@$(STAGE) setup .ci/setup all

constraints: setup  ## resolve the pinned versions anew (those that still fit are kept)
	@$(STAGE) constraints $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--no-emit-index-url --custom-compile-command 'make constraints' \
		--all-extras --group dev pyproject.toml -o constraints.txt
	@for server in zuul-registry pulp moto; do \
		$(STAGE) "constraints of $$server" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
			--no-emit-index-url --custom-compile-command 'make constraints' \
			.ci/servers/$$server.in -o .ci/servers/$$server.txt || exit 1; \
	done

demo: setup  ## a push becomes a webhook, through a real Airflow (KEEP=1 leaves the UI up)
	@$(STAGE) demo env KEEP=$(KEEP) $(BIN)/python -m demo

test: setup lint docs unit cloud airflow browser chaos-short  ## all that must hold before a change is taken

lint:  ## ruff, mypy, the import contracts, and eslint and prettier for the page's scripts
	@$(STAGE) setup .ci/setup npm
	@$(STAGE) 'ruff check' $(BIN)/ruff check .
	@$(STAGE) 'ruff format' $(BIN)/ruff format --check .
	@$(STAGE) 'import contracts' $(BIN)/lint-imports
	@$(STAGE) mypy $(BIN)/mypy
	@$(STAGE) 'eslint and prettier' npm run --silent lint

docs: setup  ## the documentation site in .cache/docs/html, with warnings as errors
	@$(STAGE) docs $(BIN)/python -m sphinx -E -W --keep-going -q -b html -d .cache/docs/doctrees docs .cache/docs/html

unit:  ## tests that start no Airflow: properties, and real registries among them
	@$(STAGE) setup .ci/setup zuul-registry tinyproxy
	@$(STAGE) unit $(PYTEST) -m 'not airflow and not quick_start and not chaos and not browser and not fuzz and not registries and not cloud' $(ARGS)

cloud:  ## credentials of clouds: their real SDKs against local servers, moto among them
	@$(STAGE) setup .ci/setup moto
	@$(STAGE) cloud $(PYTEST) -m cloud $(ARGS)

airflow: setup  ## tests on a real Airflow
	@$(STAGE) airflow $(PYTEST) -m 'airflow and not chaos and not browser and not fuzz and not cloud' $(ARGS)

quick-start: setup  ## the quick start, word by word, on a fresh virtual environment; downloads Airflow
	@$(STAGE) quick-start $(PYTEST) -s -m quick_start $(ARGS)

browser:  ## the page in a real Chromium (DOCS_IMAGES=1 takes the pictures of the docs anew)
	@$(STAGE) setup .ci/setup chromium postgresql
	@$(STAGE) browser $(PYTEST) -m browser $(ARGS)

registries:  ## the suite on every real registry: Pulp, nginx with TLS, a cache and bearer tokens too
	@$(STAGE) setup .ci/setup postgresql nginx zuul-registry pulp
	@$(STAGE) registries $(PYTEST) tests/registries --timeout 0 --durations 10 $(ARGS)

fuzz: setup  ## long randomized runs (FUZZ_EXAMPLES sets their size)
	@$(STAGE) fuzz $(PYTEST) -m fuzz --timeout 0 $(ARGS)

chaos:  ## kill processes of a real Airflow on PostgreSQL and Redis
	@$(STAGE) setup .ci/setup postgresql redis-server
	@$(STAGE) chaos $(PYTEST) -s -m 'chaos and not short' --timeout 0 $(ARGS)

chaos-short:  ## the same for a minute and a half
	@$(STAGE) setup .ci/setup postgresql redis-server
	@$(STAGE) chaos-short $(PYTEST) -s -m 'chaos and short' $(ARGS)

bench:  ## measure against the floor and against what would be used instead (ARGS names some)
	@$(STAGE) setup .ci/setup postgresql redis-server moto
	@$(STAGE) bench $(BIN)/python -m benchmarks $(ARGS)

build: setup  ## source distribution and wheel in dist/
	@$(STAGE) build $(BIN)/python -m build --no-isolation

clean:  ## remove what was built and cached, but not the virtual environment
	rm -rf dist build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
