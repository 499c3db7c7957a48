# The two commands of the README are `make demo` and `make test`; each sets up what it needs.

PYTHON ?= python3
BIN := .venv/bin
# Processes of the tests. A process for each core is enough.
WORKERS ?= auto
PLUGINS := plugins/linear plugins/knn plugins/dgex plugins/ggan plugins/kernel plugins/samplewise \
  plugins/ensemble plugins/networks
EXTRAS := plugins/boosting plugins/slurm plugins/ray
PROJECTS := pyproject.toml $(PLUGINS:%=%/pyproject.toml) $(EXTRAS:%=%/pyproject.toml)
# A collection that anybody can fetch. The maintainers' own manifest is named by U133.
DATASET ?= public-array
U133 ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Backends in .venv build genebench and the plugins. An environment for the build of each takes seconds.
# Some dependencies are published as source only, so that their backend has to be there, too.
BACKENDS := editables hatchling setuptools wheel
EDITABLE := $(PIP) --no-build-isolation
# What has to be there to build wheels. Empty where BIN names another folder with the tools.
TOOLS ?= .venv/installed-dev
# An environment of before the distribution became genebench-suite holds a stale one.
FORGET := $(BIN)/python -m pip uninstall -qq --yes genebench

.PHONY: demo test check lint types format bench docs real-results u133-results wheels try-wheels clean

demo: .venv/installed ## MAE and CC tables of the published methods under both protocols
	$(BIN)/genebench run --methods lsr,lsr-l1,lsr-l2,knn-ge,knn,dgex,ggan --protocol geo,gtex \
	  --dataset sim --preset tiny

# Stealing leaves the tests of a file in one process as a rule, so that their fixtures and fits are
# made once.
test: .venv/installed-dev ## the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: lint types test ## what has to pass before a change lands

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

format: .venv/installed-dev ## mend what a machine can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-bench ## speed, memory and calibration; see benchmarks/README.md
	$(BIN)/python benchmarks/startup.py
	GENEBENCH_HOME=.venv/bench-data $(BIN)/python benchmarks/status.py
	GENEBENCH_HOME=.venv/bench-data $(BIN)/python benchmarks/bookkeeping.py --jobs 1000
	GENEBENCH_HOME=.venv/bench-data $(BIN)/python benchmarks/engines.py --jobs 10
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/duplicates.py
	$(BIN)/python benchmarks/formats.py --profiles 1000 2000
	$(BIN)/python benchmarks/ridge.py --profiles 4000
	$(BIN)/python benchmarks/lasso.py --profiles 4000 --targets 20
	GENEBENCH_HOME=.venv/bench-data $(BIN)/python benchmarks/closed_form.py \
	  --preset small --profiles 1000
	$(BIN)/python benchmarks/neighbours.py
	$(BIN)/python benchmarks/kernel.py --part exact --targets 200
	$(BIN)/python benchmarks/samplewise.py --profiles 4000 --queries 50 --peer-queries 5
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/board.py --runs 50
	$(BIN)/python benchmarks/calibration.py --nulls 100
	$(BIN)/python benchmarks/sim_calibration.py

docs: .venv/installed-dev ## the documentation as a site, site/index.html; screenshots where there are results
	if [ -d u133-results ]; then $(BIN)/python docs/screenshots.py u133-results; fi
	GENEBENCH_RUN_TOUR=1 $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs site

real-results: .venv/installed ## the published methods on public data, which is fetched first
	$(BIN)/genebench data fetch $(DATASET)
	$(BIN)/genebench data prepare $(DATASET)
	$(BIN)/genebench run --methods lsr,lsr-l1,lsr-l2,knn-ge,knn,dgex,ggan --protocol geo,gtex \
	  --dataset $(DATASET) --results real-results

u133-results: .venv/installed ## the same on the maintainers' compendium: make u133-results U133=…/u133.toml
	@test -n "$(U133)" || { echo "U133 is not set. Name its manifest, or use: make real-results"; exit 2; }
	$(BIN)/genebench data prepare $(U133)
	$(BIN)/genebench run --methods lsr,lsr-l1,lsr-l2,knn-ge,knn,dgex,ggan --protocol geo,gtex \
	  --dataset u133 --seeds 3 --results u133-results

wheels: $(TOOLS) ## wheels and sdists of genebench and every plugin, in dist/
	rm -rf dist
	for project in . $(PLUGINS) $(EXTRAS); do \
	  $(BIN)/python -m build --no-isolation --outdir dist $$project || exit 1; done
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist

try-wheels: wheels ## the wheels in a clean environment, without a checkout; takes minutes
	$(BIN)/python packaging/try_wheels.py dist

clean:
	rm -rf .venv site jupyter_execute dist

.venv/installed: $(PROJECTS) constraints.txt
	$(PYTHON) -m venv .venv
	$(FORGET)
	$(PIP) $(BACKENDS)
	$(EDITABLE) --editable '.[report,sklearn]' $(PLUGINS:%=--editable %)
	touch $@

.venv/installed-dev: $(PROJECTS) constraints.txt
	$(PYTHON) -m venv .venv
	$(FORGET)
	$(PIP) $(BACKENDS)
	$(EDITABLE) --editable '.[dev]' $(PLUGINS:%=--editable %) $(EXTRAS:%=--editable %)
	touch $@ .venv/installed

.venv/installed-bench: .venv/installed-dev
	$(PIP) --editable '.[bench]'
	touch $@
