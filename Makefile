# `make specs` and `make test` each set up all they need on a fresh machine; a second run installs nothing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: specs test long snapshots lint zoo bench mutation browser clean

specs: $(STAMP)
	$(BIN)/python -m pytest --fail-vacuous

test: $(STAMP) browser
	$(BIN)/python -m pytest interp_tests -m "not slow" --ignore=interp_tests/test_specs.py -n 2 -q

long: $(STAMP) browser
	$(BIN)/python -m pytest interp_tests --ignore=interp_tests/test_specs.py -q

# Store the texts that tests compare with (interp_tests/__snapshots__/) as they are now, and show what changed in them.
snapshots: $(STAMP)
	$(BIN)/python -m pytest $$(grep -lw snapshot interp_tests/test_*.py) -n 2 -q --snapshot-update --snapshot-details
	git --no-pager diff -- interp_tests/__snapshots__

# The tests of reports/index.html open it in Chromium, and fail without it.
browser:
	@if command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; \
	else echo "Chromium is missing, so the tests of the HTML report will fail: apt-get install chromium chromium-driver"; fi

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
	for script in capture proofs gate check census auroc memory growth wall_times report_page; do \
		$(BIN)/python benchmarks/$$script.py || exit 1; done
	$(BIN)/python benchmarks/capture.py --workload

# An hour of two cores: which changed lines of our statistics, verdicts and planner no test notices.
mutation: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[mutation]'
	$(BIN)/python benchmarks/mutation.py

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,gemma3,ray]'
	touch $(STAMP)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache reports/latest reports/runs
