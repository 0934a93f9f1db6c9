# Needs make and a Python from 3.10 on with pip. Everything else is fetched from the
# package index into this folder: uv into .tools, the locked packages into .venv, what uv
# keeps of them into .uv-cache, Meltano's plugins into .meltano. Another Python: make test PYTHON=python3.12

PYTHON ?= python3
# A folder of this name is left alone by linters.
UV_HOME := .tools/uv/site-packages
UV := $(UV_HOME)/bin/uv
BIN := .venv/bin
DIST := dist

# uv takes the Python asked for, whatever else it finds, and downloads none.
PYTHON_FOUND := $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 10) and sys.executable or "")' 2>/dev/null)
export UV_PYTHON := $(PYTHON_FOUND)
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
# Of `make image`.
export ENGINE TARGET
# With this, nothing that is made lies outside of this folder, nor needs a home.
UV_CACHE_DIR ?= $(CURDIR)/.uv-cache
export UV_CACHE_DIR
# What is to be done where an index cannot be reached or trusted.
NO_INDEX := echo 'Nothing came from the package index. HTTPS_PROXY names a proxy. Where \
  it signs anew, SSL_CERT_FILE (uv) and PIP_CERT (pip) name the file of its CA.' >&2

# Named after the Python, so that another one makes the environment anew.
SYNCED := .venv/.synced-$(subst /,-,$(PYTHON_FOUND))

AIRFLOW := .airflow/venv/.synced-$(subst /,-,$(PYTHON_FOUND))

# Each file of tests stays with one process, because its tests share what they set up.
# One file loads into warehouses and takes as long as the others do on three processors.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile \
  --no-loadscope-reorder

.PHONY: help setup demo test test-all test-pythons bench lint format hub dist airflow \
  image clean python
.DELETE_ON_ERROR:

help:
	@echo 'make demo      load chats of a local stand-in for Kommo into DuckDB'
	@echo 'make test      lint, type check and run the tests, at most five minutes'
	@echo 'make test-all  the same on all Pythons, and the slow tests, as in CI'
	@echo 'make setup     set up .venv, with the tap and Meltano in it'
	@echo 'make lint      lint and type check only'
	@echo 'make bench     measure the tap beside others, about ten minutes'
	@echo 'make format    put the code into shape'
	@echo 'make hub       write the definition for MeltanoHub anew'
	@echo 'make dist      build wheel, sdist, bill of materials and definition into dist/'
	@echo 'make airflow   set up .airflow, an Airflow for the slow tests'
	@echo 'make image     build the container image, with podman, docker or buildah'
	@echo 'make clean     remove what the others made; output/ and .meltano/ stay'

setup: $(SYNCED)

demo: $(SYNCED)
	@$(BIN)/python scripts/demo.py

test: lint
	$(BIN)/pytest -m 'not slow' $(SIDE_BY_SIDE)

# These one after the other: they run nine tasks at once, and need the machine for them.
ALONE := $(addprefix tests/project/,test_airflow.py test_celery.py test_image.py)

test-all: test test-pythons $(AIRFLOW)
	$(BIN)/mypy --python-executable .airflow/venv/bin/python orchestrate
	$(BIN)/pytest -m slow $(SIDE_BY_SIDE) $(addprefix --ignore=,$(ALONE))
	$(BIN)/pytest -m slow $(ALONE)

# On all other Pythons from 3.10 on that are found: the fast tests of each rule, and of
# whole runs as a command and under the SDK. The others look alike from any Python.
ON_PYTHONS := tests/rules tests/report $(addprefix tests/runs/,test_command.py \
  test_promised_lines.py test_sdk.py test_streams.py test_faults.py native)

test-pythons: $(UV)
	@'$(PYTHON_FOUND)' scripts/pythons.py $(CURDIR)/$(UV) -m 'not slow' $(SIDE_BY_SIDE) \
	  $(ON_PYTHONS)

lint: $(SYNCED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(SYNCED)
	$(UV) run --locked --quiet --group benchmarks python -m benchmarks

format: $(SYNCED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

airflow: $(AIRFLOW)

# Airflow has an environment of its own: its packages would decide on the tap's.
$(AIRFLOW): $(UV) orchestrate/requirements.txt | python
	@echo 'Setting up .airflow ...'
	@$(UV) venv --quiet --clear .airflow/venv
	@$(UV) pip install --quiet --compile-bytecode --python .airflow/venv \
	  --requirements orchestrate/requirements.txt
	@touch $@

image:
	@'$(PYTHON_FOUND)' scripts/image.py

hub: $(SYNCED)
	$(BIN)/python scripts/hub_definition.py

# The tap, and the DAG as a package of its own: Airflow's packages and the tap's would
# decide on each other. What builds them is what uv.lock names, to the byte. The bill of
# materials is of what they need, with all extras. The definition adds the wheel to
# Meltano projects.
dist: $(UV)
	rm -rf $(DIST)
	$(UV) export --quiet --locked --only-group build --no-emit-project \
	  --output-file .tools/build.txt
	$(UV) build --quiet --require-hashes --build-constraints .tools/build.txt \
	  --out-dir $(DIST)
	$(UV) build --quiet --require-hashes --build-constraints .tools/build.txt \
	  --out-dir $(DIST) orchestrate
	$(UV) export --quiet --locked --no-dev --all-extras --format cyclonedx1.5 \
	  --output-file $(DIST)/tap-kommo-chats.cdx.json
	'$(PYTHON_FOUND)' scripts/local_definition.py $(DIST)

# Meltano keeps bookmarks in .meltano, and output holds what was loaded: both are
# the user's.
clean:
	rm -rf .venv .airflow .tools .uv-cache .pythons dist .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(SYNCED): $(UV) pyproject.toml uv.lock | python
	@echo 'Setting up .venv ...'
	@$(UV) sync --locked --quiet || { $(NO_INDEX); exit 1; }
	@# Meltano does not notice that the tap's dependencies changed.
	@rm -rf .meltano/extractors/tap-kommo-chats/venv
	@rm -f .venv/.synced-*
	@touch $@

# --target is a folder of its own, so it works where the system's Python must not be
# changed. A uv of other bytes than those of its release is refused.
$(UV): requirements/uv.txt | python
	@'$(PYTHON_FOUND)' -m pip --version >/dev/null || { \
	  echo '$(PYTHON) has no pip. On Debian and Ubuntu: apt install python3-pip' >&2; \
	  exit 1; }
	@rm -rf .tools
	@PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
	  '$(PYTHON_FOUND)' -m pip install --quiet --no-cache-dir --target $(UV_HOME) \
	  --require-hashes --only-binary :all: --requirement $< || { $(NO_INDEX); exit 1; }
	@touch $@

python:
	@test -n '$(PYTHON_FOUND)' || { \
	  echo '$(PYTHON) is not Python 3.10 or newer. Try: make PYTHON=python3.12' >&2; \
	  exit 1; }
