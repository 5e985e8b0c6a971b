# Everything runs from .venv, which `install` makes from the lock and remakes when the lock changes.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed-$(firstword $(shell cksum requirements-dev.txt))
WORKERS ?= auto

.PHONY: install demo run test test-alone check format bench proof screenshots lock

install: $(STAMP)

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	touch $@

demo: install
	$(BIN)/python -m project.demo

run: install
	$(BIN)/python -m project.run

test: check
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

# Each test module in a process of its own, which finds what passes only after others.
test-alone: install
	$(BIN)/python -m tests.alone

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m bench
	$(BIN)/python -m bench.resilience

# The full sizes of what the tests show small, within hours: make proof, or NAMES="chaos-redis model".
proof: install
	$(BIN)/python -m bench.proof $(NAMES)

# The pictures in docs/images, of sample runs in a world of their own. Needs Chromium.
screenshots: install
	$(BIN)/python -m tests.browser.screenshots

# Needs uv. Hashes for every platform; no index address gets into the files.
lock:
	env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL uv pip compile --quiet --universal --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements.txt pyproject.toml
	env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL uv pip compile --quiet --universal --generate-hashes \
		--no-emit-index-url --no-header --all-extras --constraint requirements.txt \
		--output-file requirements-dev.txt pyproject.toml
