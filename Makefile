# `make` alone explains everything below.
PYTHON ?= python3
PY := .venv/bin/python
RUN := LASTITERATE_PARENT=$$PPID exec $(PY) -m lastiterate
SIZE ?= nano

.DEFAULT_GOAL := help
.PHONY: help env figures test test-slow notebook lab data worstcase runs suites laws site serve test-site bench lint format package clean

help:  ## this text
	@echo "lastiterate: learning-rate-schedule theory to understand, check and use"
	@echo
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'One notebook with other parameters:  make notebook NB=schaipp2025/cooldown ARGS="T=1000"'
	@echo "Everything is set up in .venv by the first target that needs it; PYTHON=python3.12 picks another interpreter."

env: .venv/.complete  ## make .venv with the pinned versions of requirements.lock

.venv/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); ok or sys.exit("Python 3.11 to 3.13 is needed, %s is %s: try make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))'
	@echo "making .venv: about 2 minutes, most of it download"
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

figures: env  ## draw every figure whose inputs changed, refresh the notebooks, print figures and claims
	@$(RUN) figures

test: env  ## run the tests
	@$(PY) -m pytest -n 2

test-slow: env  ## run the slow checks too: exact worst cases up to T = 40, bounds at T = 1,000,000, 50 kills
	@$(PY) -m pytest -n 2 -m "not site"

notebook: env  ## run one notebook into build/ with other parameters: NB=paper/name ARGS="name=value ..."
	@$(RUN) notebook $(NB) $(ARGS)

lab: env  ## open the notebooks in JupyterLab
	@$(PY) -m jupyterlab --notebook-dir=notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

data: env  ## download the authors' logs (42 MB) and Tiny Shakespeare (1 MB) ahead, verified
	@$(RUN) data

worstcase: env  ## recompute data/worstcase.csv, the table of exact worst cases (10 minutes; can be interrupted)
	@mkdir -p build
	@$(RUN) worstcase build/worstcase.csv
	@mv build/worstcase.csv data/worstcase.csv
	@$(RUN) data --register

runs: env  ## train the runs of data/runs/ again (SIZE=nano; an hour on two cores, says how long first, can be interrupted)
	@$(RUN) sweep data/runs/$(SIZE).toml --folder build/runs/$(SIZE) --record data/runs/$(SIZE)
	@$(RUN) data --register

suites: env  ## recompute the convex suite and the small problems in data/ (two hours; can be interrupted)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-suites.lock
	@mkdir -p build
	@$(RUN) convex build/convex.csv
	@$(RUN) problems build/problems
	@cp build/convex.csv build/problems.parquet build/problems_norms.csv data/
	@$(RUN) data --register

laws: env  ## recompute data/laws.csv and laws_runs.csv, the bench of schedule laws (a quarter of an hour; can be interrupted)
	@mkdir -p build
	@$(RUN) laws build/laws.csv
	@cp build/laws.csv build/laws_runs.csv build/laws_variants.csv data/
	@$(RUN) data --register

site: .venv/.site  ## write the pages into build/site from what is committed, offline, in half a minute
	@$(RUN) site

serve: .venv/.site  ## write the pages and show them at http://127.0.0.1:8000
	@$(RUN) site --serve

test-site: site  ## look at every page, and move the explorer, in Chromium without a screen
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { echo "a browser is needed: apt-get install chromium" >&2; exit 2; }
	@$(PY) -m pytest -m site tests/companion/site

.venv/.site: requirements-site.lock .venv/.complete
	@echo "adding what pages need to .venv: 275 MB, about a minute"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-site.lock
	@touch $@

bench: env  ## print speeds as ratios to plain baselines
	@$(PY) benchmarks/start.py
	@$(PY) benchmarks/bounds.py
	@$(PY) benchmarks/convex.py
	@$(PY) benchmarks/train.py

lint: .venv/.site  ## check the code: ruff, the floors of the house (import-linter), types (pyright)
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/pyright

format: env  ## mend what ruff can
	@$(PY) -m ruff check --fix . && $(PY) -m ruff format .

package: env  ## build the wheel and try its core in an empty environment with NumPy and SciPy alone
	@rm -rf build/dist && $(PY) -m build --quiet --outdir build/dist
	@$(PY) -m twine check --strict build/dist/*
	@PYTHON=$(PY) tests/try_core.sh build/dist/*.whl

clean:  ## remove .venv and build/, and nothing that is committed
	find figures -name "*.pdf" -delete
	rm -rf .venv build .pytest_cache .hypothesis .ruff_cache lib/lastiterate.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
