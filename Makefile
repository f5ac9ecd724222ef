# Both `make demo` and `make test` do all the set-up on a fresh machine: a virtual environment in .venv, then pip install.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := .venv/bin

.PHONY: demo test lint types unit slow notebooks bench results clean

demo: .venv/ready
	$(BIN)/pnpsr demo --out demo

test: lint types unit

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

unit: .venv/ready
	$(BIN)/python -m pytest

slow: .venv/ready
	$(BIN)/python -m pytest -m slow

notebooks: .venv/ready
	$(BIN)/python examples/make_notebooks.py

bench: .venv/ready
	$(BIN)/python benchmarks/prox_image.py

# every table and figure of the papers; DATA is described in the script
DATA ?= data
results: .venv/ready
	$(BIN)/python benchmarks/results.py --data $(DATA)

.venv/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "pnpsr needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo
