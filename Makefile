.DEFAULT_GOAL := help
.PHONY: help run test lint audit format types bench lock schema docs clean setup setup-dev
PYTHON_IN_VENV := .venv/bin/python
EMBEDDED := $(PYTHON_IN_VENV) -m auditlog_project.embedded
# Both files for every Python and platform at once. No index address gets into them.
COMPILE := $(PYTHON_IN_VENV) -m uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --excludes requirements-excluded.in

help: ## Show the targets (this)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: setup ## Start everything: PostgreSQL, Redis, web, sequencer, followers, workers, beat (Ctrl-C stops it; data stays in var/)
	@exec $(EMBEDDED) run

test: setup-dev ## Run the tests on servers of their own (ARGS="tests/unit -k name" for some of them)
	$(PYTHON_IN_VENV) -m pytest $(if $(ARGS),$(ARGS),--cov)

lint: types ## Check style, format, types, the arrows between packages, and known dangerous code
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	.venv/bin/lint-imports
	$(PYTHON_IN_VENV) -m bandit --quiet --configfile pyproject.toml --recursive accounts archival auditlog_project auditlog_verify logs manage.py

audit: setup-dev ## Look for known vulnerabilities in the pinned packages (needs the network)
	$(PYTHON_IN_VENV) scripts/audit

format: setup-dev ## Rewrite the code in the project's format
	$(PYTHON_IN_VENV) -m ruff check --fix .
	$(PYTHON_IN_VENV) -m ruff format .

types: setup-dev ## Check types
	$(PYTHON_IN_VENV) -m mypy

bench: setup-dev ## Run every benchmark and rewrite benchmarks/results
	$(PYTHON_IN_VENV) -m benchmarks single
	$(PYTHON_IN_VENV) -m benchmarks bulk
	$(PYTHON_IN_VENV) -m benchmarks verify
	$(PYTHON_IN_VENV) -m benchmarks alerts
	$(PYTHON_IN_VENV) -m benchmarks stream
	$(PYTHON_IN_VENV) -m benchmarks search
	$(PYTHON_IN_VENV) -m benchmarks stats
	$(PYTHON_IN_VENV) -m benchmarks export

lock: setup-dev ## Write requirements*.txt from requirements*.in (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt

schema: setup-dev ## Write docs/openapi.yaml from the code
	$(EMBEDDED) exec -- $(PYTHON_IN_VENV) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

docs: schema ## Write the generated pages: docs/openapi.yaml, docs/settings.md, docs/schema.sql
	$(EMBEDDED) exec -- $(PYTHON_IN_VENV) -m auditlog_project.reference > docs/settings.md
	$(PYTHON_IN_VENV) -m auditlog_project.schema_page > docs/schema.sql

clean: ## Remove .venv, caches and reports (never data: var/ stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage .coverage.* static-built
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@scripts/setup run

setup-dev:
	@scripts/setup dev
