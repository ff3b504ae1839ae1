# `make specs` and `make test` each set up all they need on a fresh machine; a second run installs nothing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: specs test long lint zoo bench clean

specs: $(STAMP)
	$(BIN)/python -m pytest

test: $(STAMP)
	$(BIN)/python -m pytest interp_tests -m "not slow" --ignore=interp_tests/test_specs.py -n 2 -q

long: $(STAMP)
	$(BIN)/python -m pytest interp_tests --ignore=interp_tests/test_specs.py -q

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Rebuild what ships in harness/zoo/ (minutes to an hour of two cores; see the cards there).
zoo: $(STAMP)
	$(BIN)/python -m harness.zoo.tiny_gemma2.build
	$(BIN)/python -m harness.zoo.tiny_qwen3.build
	$(BIN)/python -m harness.zoo.tiny_paligemma2.build
	$(BIN)/python -m harness.zoo.gemma3_270m.build

bench: $(STAMP)
	$(BIN)/python benchmarks/wall_times.py

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,gemma3]'
	touch $(STAMP)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache reports/latest reports/runs
