# The README's commands. Each sets .venv up first; nothing else on the machine is touched.

# The first of these that is a Python this package supports (pyproject.toml: requires-python).
PYTHON := $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
INSTALLED := .venv/.installed
TESTABLE := .venv/.testable
PROMPT := サラリーマン 油絵

.PHONY: setup demo test test-quick check coverage messages schema requirements clean

setup: $(INSTALLED)

demo: $(INSTALLED)  ## draw the default prompt into outputs/
	.venv/bin/jsd generate "$(PROMPT)" --output-dir outputs

test: $(TESTABLE)  ## everything: browser, Ray, server, training
	.venv/bin/python -m pytest

test-quick: $(TESTABLE)  ## without what tests/conftest.py calls slow; for while you work
	.venv/bin/python -m pytest -m "not slow"

coverage: $(TESTABLE)  ## the share of jsd's lines that the tests run in their own process
	.venv/bin/python -m coverage run --source jsd -m pytest
	.venv/bin/python -m coverage report --sort cover

check: $(TESTABLE)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# What is said to a user stands in English where it is said; the Japanese is written into jsd/locale/ja.po. Errors take
# their sentence as the second argument.
ERRORS := $(foreach error,JsdError InvalidInputError ImageFileError ModelFolderError CorpusError CheckpointError \
	ServingError GenerationError Note __init__,--keyword $(error):2)
messages: $(TESTABLE)  ## bring the Japanese sentences up to date, and compile them
	mkdir -p build
	.venv/bin/pybabel -q extract --no-default-keywords --keyword _ --keyword N_ $(ERRORS) --no-location --sort-output \
		--output-file build/jsd.pot jsd
	.venv/bin/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap --locale ja \
		--input-file build/jsd.pot --output-file jsd/locale/ja.po
	.venv/bin/pybabel -q compile --input-file jsd/locale/ja.po --output-file jsd/locale/ja.mo

schema: $(INSTALLED)  ## write Cog's schema of the inputs of predict.py
	.venv/bin/python -m runs.schema

# PIP_ARGS is for pip: another index, say, as of torch's wheels for machines without a GPU.
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)

$(INSTALLED): pyproject.toml requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements.txt -e '.[readings]'
	@touch $@

# The tests need every extra: half a gigabyte that nobody else has to wait for.
$(TESTABLE): $(INSTALLED) requirements-test.txt
	$(PIP) -r requirements-test.txt -e '.[train,readings,ray,web,mcp,openvino,test]'
	@touch $@

# What the dependencies of pyproject.toml bring, at exact versions, resolved by uv from the packages' metadata: no wheel
# is downloaded. Versions that stand in the files stay; `make requirements UPGRADE=--upgrade` takes the newest. What
# differs between machines is left to torch's own wheel: the CUDA libraries that it names.
# requirements.txt is what `make demo` installs, requirements-test.txt that and every extra, requirements-cog.txt what
# Cog reads: torch of Cog's own table, and no `cog` and `coglet`, which Cog installs itself (cog.yaml: sdk_version).
TORCH := 2.13.0
TORCH_COG := 2.11.0
LOCK = build/requirements/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11 $(UPGRADE) pyproject.toml
WRITTEN := \# Written by: make requirements (from the dependencies of pyproject.toml). Do not edit.

requirements:
	$(PYTHON) -m venv build/requirements
	build/requirements/bin/python -m pip install --quiet --disable-pip-version-check uv
	echo "torch==$(TORCH)" > build/torch.txt
	echo "torch==$(TORCH_COG)" > build/torch-cog.txt
	cp requirements.txt build/requirements.txt
	$(LOCK) --extra readings --constraint build/torch.txt --output-file build/requirements.txt >/dev/null
	{ echo "$(WRITTEN)"; grep -vE '^(nvidia-|cuda-|triton)' build/requirements.txt; } > requirements.txt
	cp requirements-test.txt build/requirements-test.txt
	$(LOCK) --all-extras --constraint build/requirements.txt --output-file build/requirements-test.txt >/dev/null
	{ echo "$(WRITTEN)"; grep -vE '^(nvidia-|cuda-|triton)' build/requirements-test.txt; } > requirements-test.txt
	cp requirements.txt build/requirements-cog.txt
	$(LOCK) --extra readings --constraint build/torch-cog.txt --output-file build/requirements-cog.txt >/dev/null
	{ echo "$(WRITTEN)"; grep -vE '^(nvidia-|cuda-|triton|cog==|coglet==)' build/requirements-cog.txt; } > requirements-cog.txt

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache
