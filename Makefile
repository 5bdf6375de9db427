# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV   ?= .venv
PYTHON := $(VENV)/bin/python
# pip takes minutes for what uv does in seconds; it installs that alone.
INSTALL := $(VENV)/bin/uv pip install -q --python $(PYTHON)
STAMP  := $(VENV)/.installed-$(shell cat requirements-dev.lock pyproject.toml 2>/dev/null | sha256sum | cut -c1-12)
# What the product image needs; the client of backends is in their images.
IMAGE_EXTRAS := controller webhook gateway cli
# Workers of `make test`: alone, tests wait for processes and pods half of their time.
WORKERS ?= 3
# Tests start hundreds of processes: none shall compile what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE
# What outlives a checkout.
CACHE := $(or $(LIVECONNECT_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/liveconnect)
BROKER_IMAGE ?=
export BROKER_IMAGE

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

$(STAMP):
	@echo "setup: Python environment in $(VENV)"
	@test -x $(PYTHON) || python3 -m venv $(VENV)
	@$(PYTHON) -m pip install -q --require-hashes -r requirements-uv.lock
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed-* && touch $@

.PHONY: setup
setup: $(STAMP) ## Make the Python environment from the lock file

.PHONY: lock
lock: setup ## Resolve the dependencies anew and write the lock files
	$(VENV)/bin/uv pip compile pyproject.toml $(addprefix --extra ,$(IMAGE_EXTRAS)) --generate-hashes --python-version 3.11 -q -o requirements.lock
	$(VENV)/bin/uv pip compile pyproject.toml --all-extras --group dev --generate-hashes --python-version 3.11 -q -o requirements-dev.lock
	echo uv | $(VENV)/bin/uv pip compile - -c requirements-dev.lock --generate-hashes --python-version 3.11 -q -o requirements-uv.lock
	$(VENV)/bin/uv pip compile e2e/tools/moto/requirements.in --generate-hashes --python-version 3.11 -q -o e2e/tools/moto/requirements.lock

.PHONY: generate
generate: setup ## Write everything that is generated: CRD, RBAC, reference, golden and install manifests
	@$(PYTHON) -m hack.generate

.PHONY: verify
verify: setup ## Prove that the generated files are in sync
	@$(PYTHON) -m hack.generate --check

.PHONY: lint
lint: setup ## Style of Python and Go
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@test -z "$$(cd e2e/broker && gofmt -l .)" || (echo "gofmt: e2e/broker" && exit 1)

.PHONY: types
types: setup ## mypy, strict
	@$(VENV)/bin/mypy --cache-dir $(CACHE)/mypy operator/liveconnect operator/tests e2e hack conftest.py

.PHONY: imports
imports: setup ## Layers, checked by import-linter
	@$(VENV)/bin/lint-imports

.PHONY: unit
unit: setup ## Pure half: unit, property and golden tests
	@$(PYTHON) -m pytest -q operator/tests/unit operator/tests/golden

.PHONY: contract
contract: packages ## Our code and the dev broker against VerneMQ's recordings
	@$(PYTHON) -m pytest -q operator/tests/contract

.PHONY: integration
integration: binaries ## The operator against a real API server
	@$(PYTHON) -m pytest -q operator/tests/integration

.PHONY: e2e
e2e: packages ## The whole platform in real pods
	@$(PYTHON) -m pytest -q e2e

.PHONY: packages
packages: setup ## Install the system packages that tests and local provider need
	@$(PYTHON) -m e2e.providers.system

.PHONY: binaries
binaries: packages ## Build the control plane that the integration tests run on (cached)
	@$(PYTHON) -m e2e.providers.binaries

.PHONY: test
test: lint types imports verify binaries ## Everything: what CI runs
	@$(PYTHON) -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder operator/tests e2e

.PHONY: demo
demo: setup ## Bring a cluster up and play LiveConnect's story
	@$(PYTHON) -m e2e.demo up

.PHONY: demo-down
demo-down: setup ## Remove everything that the demo made
	@$(PYTHON) -m e2e.demo down

.PHONY: bench
bench: setup ## Measure against peers in the same run (ROWS="id …" for some)
	@$(PYTHON) -m e2e.bench $(ROWS)
