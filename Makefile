# Every target sets up what it needs in .venv, from a fresh clone, and does nothing that is done already.
# PYTHON=… chooses the interpreter (3.11 or newer), VENV=… the environment, ARGS=… adds arguments to pytest or the demo.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# a process for each core, four at most: each may load a model; a file stays with one, and so does the engine it starts
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# An environment that was copied or moved along with its tree still points to the old one.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check docs clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: $(STAMP) ## make a small SL-CAI data set with SmolLM2 and show a chain of it
	$(BIN)/constitutional demo $(ARGS)

test: export HF_HUB_OFFLINE := 1
test: export HF_HUB_DISABLE_TELEMETRY := 1
test: $(STAMP) ## run the tests (a few minutes)
	@$(BIN)/constitutional model pull smollm2-135m
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(ARGS)

test-slow: export HF_HUB_OFFLINE := 1
test-slow: export HF_HUB_DISABLE_TELEMETRY := 1
test-slow: $(STAMP) ## run the tests that take minutes each
	@$(BIN)/constitutional model pull smollm2-135m
	$(BIN)/python -m pytest -m slow $(ARGS)

check: $(STAMP) ## lint, formatting, types, generated files up to date, shipped constitutions against their schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m constitutional.cli.docs --check
	$(BIN)/check-jsonschema --check-metaschema constitutions/constitution.schema.json
	$(BIN)/check-jsonschema --schemafile constitutions/constitution.schema.json constitutions/*.yaml

docs: $(STAMP) ## write the generated docs anew
	$(BIN)/python -m constitutional.cli.docs

clean: ## remove all that make made here (the pulled model stays in the user's cache)
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): constraints.txt pyproject.toml scripts/install.sh
	@scripts/install.sh "$(PYTHON)" "$(VENV)"
