# Each target brings what it needs onto a fresh machine, and does so once: stamps remember it.
#
#   make run        start FlowFuse; prints the address, opens a browser where there is a display
#   make test       everything: lint, format, types, floors, all tests (crash tests in their short form)
#   make test-fast  the tests that need no browser, no killing and no building; under a minute
#   make crash      the crash tests in their long form (CRASH_CYCLES=1000)
#   make lint       ruff, mypy, import contracts
#   make shots      pictures of the pages, light, dark and narrow, in shots/
#   make lock       pin the newest versions that pyproject.toml and web/package.json allow

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-header --no-annotate
CRASH_CYCLES ?= 1000
# Two at a time, by file: what shares a server or a browser stays together.
TESTS := $(PY) -m pytest -n 2 --dist loadfile
ASSET_SOURCES := $(shell find web/static web/languages web/build.mjs web/monaco.mjs web/package-lock.json -type f 2>/dev/null)

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: run test test-fast crash lint shots lock clean

run: .venv/.app web/dist/manifest.json
	@$(BIN)/flowfuse serve $(ARGS)

test: lint .venv/.chromium .venv/.tools web/dist/manifest.json
	@$(TESTS)

test-fast: .venv/.dev web/dist/manifest.json
	@$(TESTS) -m "not slow and not crash and not browser"

crash: .venv/.dev .venv/.tools web/dist/manifest.json
	@FLOWFUSE_CRASH_CYCLES=$(CRASH_CYCLES) $(TESTS) -m crash --timeout=0

lint: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

shots: .venv/.dev .venv/.chromium web/dist/manifest.json
	@mkdir -p shots
	@FLOWFUSE_SHOTS=shots $(PY) -m pytest -q tests/pages/test_browser.py tests/pages/test_every_page.py tests/pages/test_editor_sound.py -k "every_page or every_state or empty_pages or way_in"

lock: .venv/.dev
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) --group build -c requirements.lock -o requirements-build.lock
	@$(COMPILE) pyproject.toml --extra dev --extra bench --group build -c requirements.lock -c requirements-build.lock -o requirements-dev.lock
	@$(PY) scripts/lock_web.py

clean:
	rm -rf .venv build dist web/dist web/node_modules shots

# ── Set-up ───────────────────────────────────────────────────────────────────────────────────────

.venv/.made:
	@scripts/need-python $(PYTHON)
	@$(PYTHON) -m venv .venv
	@touch $@

# The project's own install is editable and takes nothing from outside: its tools are in the build lock.
.venv/.app: .venv/.made requirements.lock requirements-build.lock pyproject.toml
	@echo "Installing what FlowFuse needs (once) …"
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.made requirements-dev.lock pyproject.toml
	@echo "Installing what the tests need (once) …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ .venv/.app

.venv/.chromium: .venv/.made
	@scripts/need chromium chromium
	@touch $@

# What the fault tests break things with: system calls that fail, a disk that forgets.
.venv/.tools: .venv/.made
	@scripts/need strace strace
	@scripts/need fusermount3 fuse3
	@touch $@

# Has its own stamp over contents, so it may be called once too often.
web/dist/manifest.json: $(ASSET_SOURCES) hatch_build.py | .venv/.app
	@$(PY) hatch_build.py
	@touch $@
