# make           set up .venv from the lock, and run the default study
# make plan      print what is done of it, and what the rest will cost
# make why       print what would run, and why
# make archive   put the finished study into one file, an RO-Crate
# make test      set up, and run the tests, in two processes
# make test-gpu  the same for those that need a GPU, on a machine that has one
# make lint      set up, and check style, types and the workflow
# make lock      resolve the lock anew, for every platform (needs uv)
# make clean     remove .venv; results stay
#
# The first four take another study, and a profile: make plan CONFIG=config/paper.yaml PROFILE=slurm

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
OPTIONS = $(if $(PROFILE),--profile $(PROFILE)) $(if $(CONFIG),--configfile $(CONFIG))

.PHONY: study plan why archive setup test test-gpu lint lock clean

study: setup
	$(BIN)/snakemake all $(OPTIONS)

plan why: setup
	@$(BIN)/python workflow/commands/$@.py all $(OPTIONS)

archive: setup
	$(BIN)/snakemake archive $(OPTIONS)

setup: $(READY)

test: setup
	$(BIN)/python -m pytest --numprocesses 2

test-gpu: setup
	GST_GPU_TESTS=required $(BIN)/python -m pytest -s tests/gpu

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

lock:
	uv pip compile --universal --python-version 3.11 --extra dev --upgrade \
	  --constraint requirements/constraints.txt --output-file requirements/lock.txt pyproject.toml

clean:
	rm -rf .venv

$(READY): requirements/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "gst needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements/lock.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)
