# Every target makes .venv and installs the package first, if that is not done yet.
# PYTHON=python3.12 make test     with another Python, 3.11 or newer
# make test ARGS="-k ham -x"      with options of pytest

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# A process for each core, which then needs no threads of its own.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

.DEFAULT_GOAL := help
.PHONY: help demo test golden nightly drill costs rooms lint docs clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s%s\n", $$1, $$2 }'

demo: $(STAMP) ## Train with and without global context on built-in scenes; writes demo/report.html
	$(BIN)/subquad demo --output demo

test: $(STAMP) ## Run the tests that take seconds
	$(PYTEST) -m "not slow" $(ARGS)

golden: $(STAMP) ## Renew the lists of tests/golden: what others rely on, docs/stability.md
	rm -rf tests/golden
	SUBQUAD_RENEW_GOLDEN=1 $(BIN)/python -m pytest -q tests/test_golden.py

nightly: $(STAMP) ## Run all tests, the slow ones too
	$(PYTEST) $(ARGS)

drill: $(STAMP) ## Break files, kill runs, fill disks, look for NaN; ten minutes, docs/reliability.md
	OMP_NUM_THREADS=1 $(BIN)/python experiments/reliability/drill.py $(ARGS)

rooms: $(STAMP) ## Draw the picture of docs/architecture.md anew from the imports
	$(BIN)/python tests/rooms.py

costs: $(STAMP) ## Count parameters and multiply-adds of all networks anew, for `subquad models`
	$(BIN)/python -c "from subquad.models.cost import write_costs; write_costs()"

lint: $(STAMP) ## Check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

docs: $(STAMP) ## Build the documentation; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

clean: ## Remove what the targets wrote; keeps .venv and runs/
	rm -rf demo dist build docs/_build .pytest_cache .ruff_cache .hypothesis
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml $(wildcard experiments/rivals/*.*)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]" ./experiments/rivals
	@touch $@
