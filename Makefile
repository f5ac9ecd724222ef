# Both `make demo` and `make test` do all the set-up on a fresh machine: a virtual environment in .venv, then pip install.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := .venv/bin

.PHONY: demo test lint types unit slow docs matrix lowest notebooks bench results clean

demo: .venv/ready
	$(BIN)/pnpsr demo --out demo

test: lint types unit

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

# one worker for each processor; each computes in one thread
WORKERS ?= logical
unit: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

slow: .venv/ready
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -m "slow or hypothesis"

notebooks: .venv/ready
	$(BIN)/python examples/make_notebooks.py

# everything beside its peers, and the page made of it
bench: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore benchmarks/speed.py

# every table and figure of the papers; DATA is described in the script
DATA ?= data
results: .venv/ready
	$(BIN)/python benchmarks/results.py --data $(DATA)

# the site, strictly: a warning is an error, nothing is fetched; then open build/site/index.html
docs: .venv/docs
	$(BIN)/python -m sphinx -W --keep-going -q -j auto -b html docs build/site

# the quick tests on every Python of this machine, each in an environment of its own; QUICK says which tests
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
QUICK ?= tests
matrix: lowest
	@for p in $(PYTHONS); do \
		if $$p -c '' 2>/dev/null; then $(MAKE) --no-print-directory build/matrix/$$p || exit 1; else echo "$$p is not here, left out"; fi; done

build/matrix/%: FORCE
	test -x $@/bin/python || $* -m venv $@
	$@/bin/python -m pip install --quiet --editable '.[dev]'
	$@/bin/python -m pytest -q -p no:cacheprovider $(QUICK)

# the same on the oldest Python and the oldest dependencies that pyproject.toml allows; their own warnings are no errors of ours
lowest: FORCE
	test -x build/lowest/bin/python || python3.11 -m venv build/lowest
	python3.11 tools/lowest.py > build/lowest/lowest.txt
	build/lowest/bin/python -m pip install --quiet --constraint build/lowest/lowest.txt --editable '.[dev]'
	build/lowest/bin/python -m pytest -q -p no:cacheprovider -W default $(QUICK)

FORCE:

.venv/docs: .venv/ready
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

.venv/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "pnpsr needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build demo
