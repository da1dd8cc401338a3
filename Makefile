# `make quickstart` and `make test` are all a newcomer needs; every target makes .venv if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The newest versions that pip finds, on the Python of `make newest PYTHON=python3.13`.
NEWEST := .venv-newest
# A little of every area, about a minute together.
NEWEST_TESTS := $(addprefix tests/test_,$(addsuffix .py,anomaly_edge data_pipeline explain_rules \
	faces_render forensics_features gans_losses gans_penalties nn_layers quality_metrics report_html \
	runtime_compiler spectra_curves studies_runner train_update))
# Apache Beam, which needs older versions than everything else.
BEAM := .venv-beam
# A folder of results for `make docs`, such as runs.
RESULTS ?=
SOURCES := gan_forensics experiments benchmarks tests docs setup.py

.PHONY: quickstart test newest beam slow lint format bench docs requirements clean

$(VENV)/.installed: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

quickstart: $(VENV)/.installed
	$(BIN)/gan-forensics quickstart

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --dist loadfile

$(NEWEST)/.installed: setup.py
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -e '.[test]'
	touch $@

newest: $(NEWEST)/.installed
	$(NEWEST)/bin/python -c 'import jax, sys; print("Python", sys.version.split()[0], "JAX", jax.__version__)'
	$(NEWEST)/bin/python -m pytest -n auto --dist loadfile $(NEWEST_TESTS)

$(BEAM)/.installed: setup.py constraints-beam.txt
	$(PYTHON) -m venv --clear $(BEAM)
	$(BEAM)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
		-c constraints-beam.txt -e . apache-beam pytest hypothesis
	touch $@

beam: $(BEAM)/.installed
	$(BEAM)/bin/python -m pytest tests/test_forensics_score_engines.py

slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/pyright

format: $(VENV)/.installed-dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.run

# The documentation as a site; no network is needed. Pages of papers get what presets left in RESULTS.
docs: $(VENV)/.installed-dev
	@echo "The notebooks are run for their pages: it takes a minute or two."
	$(BIN)/python -m sphinx -q -j auto --fail-on-warning --keep-going -b html -c docs \
		-d build/docs/doctrees -D results_folder=$(RESULTS) . build/docs/html
	@echo "Open build/docs/html/index.html"

# What runs needs, and what building it needs, with the hashes of its files for every system.
requirements: $(VENV)/.installed-dev
	printf 'setuptools>=77\nwheel\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
		--constraints constraints.txt --output-file requirements.txt setup.py -

clean:
	rm -rf $(VENV) $(NEWEST) $(BEAM) build docs/api docs/papers *.egg-info
