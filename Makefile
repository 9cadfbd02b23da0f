# make results   the default study, from raw audio to Table 1
# make test      the tests
# make test-slurm   those that start a Slurm of one machine, once tests/cluster/prepare.sh was run
# make results STUDY=studies/mini_aurora.yaml   another study, layered over config.yaml
# make results STUDY="studies/mini_aurora.yaml studies/paper2_layers.yaml"   and another over it
# make report    its page: tables, figures, errors, costs, and where each number comes from
# make watch     how far its networks are, in another terminal while it runs
# make estimate STUDY=studies/aurora4.yaml   jobs, GPU hours and disk, before anything is run

PYTHON ?= python3
STUDY ?=
CORES ?= all
VENV := .venv
INSTALLED := $(VENV)/.installed
NAME = $(shell sed -n 's/^name: *//p' config.yaml $(STUDY) | tail -n 1)

.DELETE_ON_ERROR:
.PHONY: results report watch estimate test test-slurm lint clean

results: $(INSTALLED)
	$(VENV)/bin/snakemake --cores $(CORES) $(if $(STUDY),--configfile $(STUDY))
	@cat results/$(NAME)/summary.txt

report: $(INSTALLED)
	$(VENV)/bin/snakemake results/$(NAME)/report.html --cores $(CORES) $(if $(STUDY),--configfile $(STUDY))
	@echo "$(CURDIR)/results/$(NAME)/report.html"

watch: $(INSTALLED)
	@$(VENV)/bin/python -m darkknowledge.watch config.yaml $(STUDY)

estimate: $(INSTALLED)
	@$(VENV)/bin/python -m darkknowledge.estimate config.yaml $(STUDY)

test: $(INSTALLED)
	$(VENV)/bin/python -m pytest

test-slurm: $(INSTALLED)
	$(VENV)/bin/python -m pytest tests/cluster

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/snakefmt --check Snakefile rules
	$(VENV)/bin/snakemake --lint

clean:
	rm -rf results/$(NAME)

$(INSTALLED): envs/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; say: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.lock
	touch $@
