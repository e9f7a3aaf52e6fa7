# Developers and CI use the same targets. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3.13
VENV := .venv
TOOLS := .tools
PINS := local/requirements
LAYER := layers/orderwatch/python
UV := $(TOOLS)/uv/bin/uv
RUN := $(VENV)/bin

# SAM needs a real Python of the runtime's version on PATH. A version manager's shim does not work.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: setup ## Play a day of three shops on a local cloud and show every alert
	@$(RUN)/orderwatch demo

.PHONY: smoke
smoke: setup ## Test a new stack in your AWS account with a short simulated day, then delete it (YES=1 does not ask, LOCAL=1 uses a local cloud)
	@$(RUN)/python -m orderwatch_local.smoke.run $(if $(YES),--yes) $(if $(LOCAL),--local)

PYTEST = $(RUN)/pytest -q -n 2 --dist worksteal

.PHONY: test
test: setup ## Run the tests: unit, integration, simulation, end to end
	@$(PYTEST) -m "not slow"

.PHONY: test-fast
test-fast: setup ## Run unit and integration tests, but for those of the operator's commands
	@$(PYTEST) -m "not slow" tests/unit tests/integration --ignore tests/integration/operator

.PHONY: test-all
test-all: setup ## Run the slow tests too, and many more random examples (nightly)
	@$(PYTEST) --hypothesis-profile many

SEEDS ?= 20000
FROM ?= 0
.PHONY: soak
soak: $(VENV)/ready ## Simulate SEEDS runs from seed FROM on, with every fault that we know of
	@$(RUN)/python -m tests.simulation.soak --seeds $(SEEDS) --from $(FROM)

.PHONY: replay
replay: $(VENV)/ready ## Simulate one SEED and show everything that happens
	@$(RUN)/python -m tests.simulation.soak --replay $(SEED)

COUNT ?= 150
SEED ?= 1
.PHONY: mutants
mutants: setup ## Run COUNT random mutants of the layer against the tests and print which survive, as JSON (hours)
	@$(RUN)/python -m tests.mutants --count $(COUNT) --seed $(SEED) $(if $(TESTS),--tests $(TESTS)) --then tests/simulation/test_simulation.py

.PHONY: check
check: setup $(TOOLS)/checkov/ready ## Check style, types, imports, spelling and the template
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/mypy
	@PYTHONPATH=$(LAYER):cli:local $(RUN)/lint-imports --no-logo --cache-dir .cache/imports
	@$(RUN)/codespell
	@$(TOOLS)/sam/bin/cfn-lint --regions ALL_REGIONS -- template.yaml integrations/deployer-policy.yaml
	@$(TOOLS)/sam/bin/cfn-lint local/smoke.yaml integrations/amazon-q.yaml
	@mkdir -p .cache && $(TRANSFORM) >.cache/transformed.json && $(TRANSFORM) --governed >.cache/governed.json
	@$(TOOLS)/checkov/bin/checkov --config-file local/checkov.yaml -f .cache/transformed.json -f .cache/governed.json
TRANSFORM = AWS_DEFAULT_REGION=us-east-1 $(TOOLS)/sam/bin/python local/transform.py template.yaml

.PHONY: format
format: $(VENV)/ready ## Format the code
	@$(RUN)/ruff check --fix-only -q .
	@$(RUN)/ruff format -q .

.PHONY: setup
setup: $(VENV)/ready $(TOOLS)/sam/ready $(TOOLS)/cloud/ready ## Create the environments (other targets do this when needed)

.PHONY: cost
cost: $(VENV)/ready ## Update the cost table in docs/operations.md
	@$(RUN)/python -m bench.cost docs/operations.md

.PHONY: bench
bench: setup ## Measure speed, memory, requests, latency, cost and the tests into docs/benchmarks.md (12 minutes)
	@$(RUN)/python -m bench

.PHONY: package
package: setup ## Build the files of a release into dist: the packaged template, the command line, checksums
	@$(RUN)/python -m orderwatch_local.package dist

.PHONY: pictures
pictures: $(VENV)/ready ## Take the pictures of the docs (needs Chromium)
	@$(RUN)/python -m orderwatch_local.preview.picture docs/images

.PHONY: pins
pins: $(UV) ## Update the pinned requirements
	@for group in uv sam cloud checkov; do $(COMPILE) --group $$group -o $(PINS)/$$group.txt; done
	@$(COMPILE) pyproject.toml -o $(LAYER)/requirements.txt
	@$(COMPILE) pyproject.toml --extra cli --group dev -c $(LAYER)/requirements.txt -o $(PINS)/dev.txt
COMPILE = $(UV) pip compile -q --upgrade --python-version 3.13 --generate-hashes --no-emit-index-url --no-header

.PHONY: clean
clean: ## Delete environments, caches and build output
	@rm -rf $(VENV) $(TOOLS) .aws-sam .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Separate environments, because the pins of SAM CLI, the local cloud and the project conflict.
$(VENV)/ready: $(PINS)/dev.txt pyproject.toml $(UV)
	@echo "making $(VENV)" >&2
	@$(UV) venv -q --clear --python $(TOOLS)/uv/bin/python $(VENV)
	@$(UV) pip sync -q --python $(VENV)/bin/python --require-hashes $<
	@$(UV) pip install -q --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/%/ready: $(PINS)/%.txt $(UV)
	@echo "making $(TOOLS)/$*" >&2
	@$(UV) venv -q --clear --python $(TOOLS)/uv/bin/python $(TOOLS)/$*
	@$(UV) pip sync -q --python $(TOOLS)/$*/bin/python --require-hashes $<
	@touch $@

$(UV): $(PINS)/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || \
	  { echo "orderwatch needs Python 3.13 (the Lambda runtime's): install it, or name yours: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(TOOLS)/uv
	@$(TOOLS)/uv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $(UV)
