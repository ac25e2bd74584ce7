# `make` alone lists the commands. Each does the set-up it needs.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Thousands of programs of ours start in tests: compile each module once, whatever the machine says.
unexport PYTHONDONTWRITEBYTECODE

# Debian's own packages (the default, what nodes run) or the lock file: make test PYTHON=lock
PYTHON ?= debian
PY := $(if $(filter lock,$(PYTHON)),.venv-lock/bin/python,/usr/bin/python3)
# A new seed each day; print it, and give it again to repeat a day's run: make test SEED=20261125
SEED ?= $(shell date -u +%Y%m%d)
# Two workers suit the two cores that we plan for.
WORKERS ?= 2
PYTEST := APPLIANCE_TEST_SEED=$(SEED) $(PY) -m pytest --hypothesis-seed=$(SEED)
PLAY = $(PYTEST) -n $(WORKERS) --dist loadgroup --tb=short -rsfE

help: ## list these commands
	@sed -n 's/^\([a-z%-]*\):[^#]*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='	' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

setup: ## install what tests and linters need (Debian packages, two linters in .venv)
	@scripts/setup develop

lint: setup ## style, types and import directions
	@scripts/lint

test: setup-tests ## the unit tests and tests of every promise of the README, on the real programs [PYTHON=lock] [SEED=] [ARGS=]
	@$(PLAY) tests/unit $$(scripts/promised) $(ARGS)

test-all: setup-tests ## every test that this machine can run, and what was skipped and why [HOSTS=0]
	@$(PLAY) $(if $(HOSTS),--lab-hosts $(HOSTS)) $(ARGS)

test-rest: setup-tests ## what of `make test-all` is not in `make test` [HOSTS=0]
	@$(PLAY) $(if $(HOSTS),--lab-hosts $(HOSTS)) $$(scripts/promised --deselect) $(ARGS)

unit: setup-tests ## the fast tests only: tests/unit without those that are marked long
	@$(PYTEST) -n $(WORKERS) --dist loadfile -q --hypothesis-profile=quick -m "not long" tests/unit $(ARGS)

# exec: a shell in between would die of what ends make, and leave the demo running.
# A folder's name goes to the shell as it is, whatever quotes, dollars or ends of lines are in it.
demo: export DEMO_DATA := $(value DATA)
demo: ## a small territory on this machine loses nodes and gets everything back; 40 s or so [DATA=/some/tree] [KEEP=1]
	@scripts/setup run
	@exec bin/appliance demo $${DEMO_DATA:+--data="$$DEMO_DATA"} $(if $(KEEP),--keep)

deb: ## the package of a node, in build/deb/ (Debian's own tools; nothing happens when it is there)
	@scripts/deb

release: ## a tag, the packages, their checksums and the page of changes, in build/release/: make release VERSION=0.2.0
	@scripts/release "$(VERSION)"

lab: ## a territory of real hosts on this machine, as root: booted and provisioned, and what to type then
	@[ "$$(id -u)" = 0 ] || { echo 'Real hosts need root: sudo make lab. As anybody: make demo' >&2; exit 2; }
	@scripts/setup lab
	@bin/appliance lab up
	@bin/appliance lab provision

acceptance: ## look at each host of an inventory after an installation, and change nothing: INVENTORY=inventory/valley [ARGS=]
	@scripts/setup acceptance
	@scripts/acceptance "$(INVENTORY)" $(ARGS)

bench: setup ## measure the figures of docs/results, interleaved, medians of five
	@bin/appliance lab bench $(ARGS)

soak: setup-tests ## the full count of one long suite: make soak SUITE=faults N=200
	@test -n "$(SUITE)" || { echo 'make soak SUITE=name N=count' >&2; exit 2; }
	@APPLIANCE_SOAK_RUNS=$(N) $(PYTEST) --slow --timeout 0 -m slow -k "$(SUITE)" $(ARGS)

molecule: setup ## scenarios of Molecule on lab hosts, as root [ARGS="-s base"]
	@scripts/setup molecule
	@.venv-molecule/bin/molecule test $(or $(ARGS),--all)

story-%: setup ## one promise shown end to end, for example make story-lab
	@bin/appliance lab story $*

docs: setup ## write the pages that come from the code
	@$(PY) -m appliance_lab.pages.commands >docs/reference/commands.md
	@$(PY) -m appliance_lab.pages.territory >docs/reference/territory.md
	@$(PY) -m appliance territory schema >inventory/territory.schema.json
	@$(PY) -m appliance_lab.pages.failover >docs/reference/failover.md
	@$(PY) -m appliance_lab.pages.metrics >docs/reference/metrics.md
	@$(PY) -m appliance_lab.pages.grafana >docs/reference/grafana.json
	@$(PY) -m appliance_lab.pages.listener_bounds >docs/reference/listener-bounds.md
	@$(PY) -m appliance.monitor.scrape >roles/monitoring/files/scrape.json
	@$(PY) -m appliance_lab.pages.alerts >roles/monitoring/files/alerts.rules

pictures: setup ## draw the screenshots of the documentation again
	@scripts/pictures

lock: setup ## choose the newest allowed versions for packages/*.lock (needs a package index)
	@scripts/lock

clean: ## remove what was built, keep the Python environments
	@rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
	@find . -name __pycache__ -not -path './.venv*' -exec rm -rf {} +

setup-tests: setup
	@$(if $(filter lock,$(PYTHON)),scripts/setup lock,:)

.PHONY: help setup setup-tests lint test test-all test-rest unit demo deb release lab acceptance bench soak molecule docs pictures lock clean
