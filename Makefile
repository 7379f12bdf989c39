# Everything is made below .build/ in this checkout; `make clean` removes it.
#
#   make demo                  run the example on a real Airflow against the emulator
#   make test                  run the tests            make test AIRFLOW=2.11.2   ... on another tested Airflow
#   make test-lowest           the tests with the lowest versions that the package declares, on Airflow 2.11.0 and 3.0.0
#   make test-system           tests that start a whole Airflow on loopback
#   make interop               tests against the official client and the LiteLLM proxy
#   make check                 lint, imports, types     make format                write the formatting
#   make docs                  the documentation as a site in .build/site
#   make dist                  the packages to release in .build/dist
#   make hooks                 run the checks before each commit (pre-commit)
#   make ui                    Airflow's UI with the examples and the emulator
#   make benchmark-transfer    moving videos to S3, compared with curl | aws     make benchmark-transfer ARGS=--quick
#   make benchmark-waiting     waiting for many videos in one triggerer    make benchmark-waiting ARGS="--sizes 1000"
#   make mutants               plant small defects, see that tests notice     make mutants ARGS="--only transfers/mover.py --sample 40"
#   make benchmark-policy      what polling costs, simulated

NEWEST := 3.3.2
AIRFLOW ?= $(NEWEST)
PYTHON ?= python3
ARGS ?=
# Half of what the tests take is waiting: for servers to end, for threads, for a disk.
WORKERS ?= 4
COVERAGE := $(if $(filter $(NEWEST),$(AIRFLOW)),--cov --cov-report=)

BUILD := $(CURDIR)/.build
VENV := $(BUILD)/airflow-$(AIRFLOW)
BIN := $(VENV)/bin
UV := $(BUILD)/tools/bin/uv
CONSTRAINTS := constraints/airflow-$(AIRFLOW).txt

# Nothing outside the checkout is written: caches and temporary files live in .build/ too.
export UV_CACHE_DIR := $(BUILD)/cache/uv
export TMPDIR := $(BUILD)/tmp
export AIRFLOW_HOME := $(BUILD)/airflow-home-$(AIRFLOW)
export RUFF_CACHE_DIR := $(BUILD)/cache/ruff
export MYPY_CACHE_DIR := $(BUILD)/cache/mypy
export COVERAGE_FILE := $(BUILD)/coverage-$(AIRFLOW)
# Without compiled files every airflow command costs seconds more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-lowest test-lowest-2.11 test-lowest-3.0 test-system interop check lint imports types format docs dist hooks ui benchmark-transfer benchmark-waiting benchmark-policy mutants setup constraints clean
.DEFAULT_GOAL := test

demo: setup
	$(BIN)/python -m dev.demo

# Measuring takes more than half as long again: on one Airflow. The coverage of api/ is shown only where it falls short, so that the runner's closing line comes last.
test: setup
	@$(BIN)/python -m pytest -m "not system and not interop" -n $(WORKERS) --basetemp=$(BUILD)/tmp/pytest -o cache_dir=$(BUILD)/cache/pytest-$(AIRFLOW) \
	  $(COVERAGE) $(ARGS)
ifeq ($(ARGS)$(AIRFLOW),$(NEWEST))
	@$(BIN)/coverage report --include='airflow_provider_sora/api/*' --fail-under=100 > $(BUILD)/tmp/coverage.txt \
	  || { cat $(BUILD)/tmp/coverage.txt; exit 1; }
endif

# Of what is not declared, the newest of the day after the release are taken, as Airflow's constraint files do.
LOWEST_2.11 := apache-airflow==2.11.0
RELEASED_2.11 := 2025-05-21
LOWEST_3.0 := apache-airflow==3.0.0
RELEASED_3.0 := 2025-04-23

test-lowest: test-lowest-2.11 test-lowest-3.0

test-lowest-2.11 test-lowest-3.0: test-lowest-%: $(BUILD)/lowest-%/.done
	@$(BUILD)/lowest-$*/bin/python -m pytest -m "not system and not interop" --basetemp=$(BUILD)/tmp/pytest-lowest \
	  -o cache_dir=$(BUILD)/cache/pytest-lowest-$* $(ARGS)

test-system: setup
	$(BIN)/python -m pytest -m system --basetemp=$(BUILD)/tmp/pytest-system \
	  -o cache_dir=$(BUILD)/cache/pytest-$(AIRFLOW) $(ARGS)

interop: setup $(BUILD)/litellm/.done
	@SORA_LITELLM=$(BUILD)/litellm/bin/litellm $(BIN)/python -m pytest -m interop --basetemp=$(BUILD)/tmp/pytest-interop \
	  -o cache_dir=$(BUILD)/cache/pytest-$(AIRFLOW) $(ARGS)

check: lint imports types

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

imports: setup
	$(BIN)/lint-imports --no-cache

types: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Any warning is an error. The package itself is not installed: the API reference is read from the sources.
docs: $(BUILD)/docs/.done
	@NO_MKDOCS_2_WARNING=1 $(BUILD)/docs/bin/mkdocs build --quiet --strict
	@echo "Documentation: $(BUILD)/site/index.html"

dist: | $(UV)
	rm -rf $(BUILD)/dist
	$(UV) build --quiet --out-dir $(BUILD)/dist

hooks: $(BUILD)/pre-commit/.done
	$(BUILD)/pre-commit/bin/pre-commit install

ui: setup
	$(BIN)/python -m dev.ui

benchmark-transfer: setup $(BUILD)/awscli/.done
	@AWS_CLI=$(BUILD)/awscli/bin/aws $(BIN)/python -m benchmarks.transfer $(ARGS)

benchmark-waiting: setup
	@$(BIN)/python -m benchmarks.waiting $(ARGS)

benchmark-policy: setup
	@$(BIN)/python -m benchmarks.policy $(ARGS)

mutants: setup
	@$(BIN)/python -m dev.mutants $(ARGS)

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml $(CONSTRAINTS) | $(UV) $(TMPDIR)
	@echo "Setting up Airflow $(AIRFLOW) in $(VENV)"
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint $(CONSTRAINTS) \
	  --group dev --editable ".[amazon,google,common-io,emulator]" "apache-airflow==$(AIRFLOW)"
	touch $@

# The stores' stand-ins are no part of what users install: they may be newer.
$(BUILD)/lowest-%/.done: pyproject.toml | $(UV) $(TMPDIR)
	@echo "Setting up the lowest versions with $(LOWEST_$*) in $(BUILD)/lowest-$*"
	rm -rf $(BUILD)/lowest-$*
	$(UV) venv --quiet --python $(PYTHON) $(BUILD)/lowest-$*
	$(UV) pip install --quiet --compile-bytecode --python $(BUILD)/lowest-$*/bin/python \
	  --resolution lowest-direct --exclude-newer $(RELEASED_$*) \
	  $(foreach tool,moto py-partiql-parser gcp-storage-emulator,--exclude-newer-package $(tool)=false) \
	  --group test --editable ".[amazon,google,common-io,emulator]" "$(LOWEST_$*)"
	touch $@

# The proxy's dependencies disagree with Airflow's: it gets an environment of its own.
$(BUILD)/litellm/.done: constraints/litellm.txt | $(UV) $(TMPDIR)
	test -x $(BUILD)/litellm/bin/python || $(UV) venv --quiet --python $(PYTHON) $(BUILD)/litellm
	$(UV) pip install --quiet --compile-bytecode --python $(BUILD)/litellm/bin/python \
	  --constraint constraints/litellm.txt "litellm[proxy]"
	touch $@

# What the site needs disagrees with Airflow's constraints now and then: it gets an environment of its own.
$(BUILD)/docs/.done: pyproject.toml constraints/docs.txt | $(UV) $(TMPDIR)
	test -x $(BUILD)/docs/bin/python || $(UV) venv --quiet --python $(PYTHON) $(BUILD)/docs
	$(UV) pip install --quiet --compile-bytecode --python $(BUILD)/docs/bin/python --constraint constraints/docs.txt --group docs
	touch $@

$(BUILD)/pre-commit/.done: constraints/pre-commit.txt | $(UV) $(TMPDIR)
	test -x $(BUILD)/pre-commit/bin/python || $(UV) venv --quiet --python $(PYTHON) $(BUILD)/pre-commit
	$(UV) pip install --quiet --python $(BUILD)/pre-commit/bin/python --constraint constraints/pre-commit.txt pre-commit
	touch $@

# Only what is compared with: Airflow's own botocore is not the one it needs.
$(BUILD)/awscli/.done: constraints/awscli.txt | $(UV) $(TMPDIR)
	test -x $(BUILD)/awscli/bin/python || $(UV) venv --quiet --python $(PYTHON) $(BUILD)/awscli
	$(UV) pip install --quiet --compile-bytecode --python $(BUILD)/awscli/bin/python --constraint constraints/awscli.txt awscli
	touch $@

$(CONSTRAINTS):
	@echo "Airflow $(AIRFLOW) is not among the tested ones:" && ls constraints && exit 1

$(UV): | $(TMPDIR)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: call make with PYTHON=<a newer one>"; exit 1; }
	@$(PYTHON) -m venv $(BUILD)/tools || \
	  { echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)"; exit 1; }
	$(BUILD)/tools/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check uv==0.13.9

$(TMPDIR):
	mkdir -p $@

# Resolve anew and write down what came out; review the diff, run the tests, commit.
constraints: $(UV)
	rm -rf $(BUILD)/resolve
	$(UV) venv --quiet --python $(PYTHON) $(BUILD)/resolve
	$(UV) pip install --quiet --python $(BUILD)/resolve/bin/python \
	  --group dev --editable ".[amazon,google,common-io,emulator]" "apache-airflow==$(AIRFLOW)"
	mkdir -p constraints
	$(UV) pip freeze --quiet --python $(BUILD)/resolve/bin/python --exclude-editable > $(CONSTRAINTS)

clean:
	rm -rf $(BUILD)
