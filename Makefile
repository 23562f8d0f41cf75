# Everything a newcomer needs: `make run` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .venv-conformance
RUNPOD_VENV := .venv-runpod
RUN_STAMP := $(VENV)/.run
DEV_STAMP := $(VENV)/.dev
WORKER := .venv-worker
WORKER_STAMP := $(WORKER)/.made
TRITON := .venv-triton
TRITON_STAMP := $(TRITON)/.made
PEER := .venv-bench
PEER_STAMP := $(PEER)/.made
TORCH ?= torch==2.13.0
# Tests at a time: three on two cores, since most of a test is waiting. JOBS=0: one after the other.
JOBS ?= 3
CLIENTS_STAMP := $(CLIENTS)/.installed

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.PHONY: run
run: $(RUN_STAMP) ## set everything up and start Penny on http://127.0.0.1:8080
	@$(BIN)/python -m penny serve

.PHONY: setup
setup: $(RUN_STAMP) ## the environment alone
.PHONY: setup-dev
setup-dev: $(DEV_STAMP) ## the environment with the test and check tools

.PHONY: setup-browser
setup-browser: ## a Chromium for the tests of the page, where there is none
	@command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$PENNY_CHROMIUM" ] || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the tests of the page (once) ..."; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
	  echo "The tests of the page need a Chromium, and only root can install one:"; \
	  echo "  sudo apt-get install chromium    (or set PENNY_CHROMIUM to a browser's path)"; exit 1; \
	fi

.PHONY: test
test: $(DEV_STAMP) setup-browser ## set everything up and pass the tests
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

.PHONY: test-worker
test-worker: $(WORKER_STAMP) $(TRITON_STAMP) ## the engines that need torch, and a real Triton (environments of their own)
	@$(WORKER)/bin/python -m tests.worker_torch.checkpoints
	@$(WORKER)/bin/python -m pytest -q tests/worker_torch

.PHONY: test-all
test-all: check test test-runpod test-worker bench-quick ## set everything up and pass every check and test, as CI does

.PHONY: bench
bench: bench-relay bench-pipeline ## every measurement: relay and pipeline beside floors and peers

.PHONY: bench-relay
bench-relay: $(DEV_STAMP) $(PEER_STAMP) ## what the gateway adds to a frame, about 35 minutes
	@$(BIN)/python -m tests.bench.relay

.PHONY: bench-quick
bench-quick: $(DEV_STAMP) ## fail when a session costs far more than a bare relay, under a minute
	@$(BIN)/python -m tests.bench.relay --quick

.PHONY: bench-pipeline
bench-pipeline: $(DEV_STAMP) $(PEER_STAMP) ## what the pipeline adds to its engines, beside pipecat
	@$(BIN)/python -m tests.bench.pipeline

.PHONY: bench-gpu
bench-gpu: $(WORKER_STAMP) ## full-size models of random weights on a GPU
	@$(WORKER)/bin/python -m tests.bench.gpu

.PHONY: conformance
conformance: $(DEV_STAMP) $(CLIENTS_STAMP) ## four unmodified Realtime clients talk with Penny (PENNY_URL: with that one)
	@$(BIN)/python -m tests.conformance.run

.PHONY: test-runpod
test-runpod: $(DEV_STAMP) $(RUNPOD_VENV)/.ready ## pass the worker's tests with RunPod's own SDK
	@PENNY_RUNPOD_PYTHON=$(RUNPOD_VENV)/bin/python $(BIN)/python -m pytest -q tests/runpod_sdk

.PHONY: check
check: $(DEV_STAMP) ## lint, types, floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory check-protocol

.PHONY: protocol
protocol: $(RUN_STAMP) ## write the session protocol's JSON Schema and TypeScript types
	@$(BIN)/python -m penny.protocol.generate

.PHONY: check-protocol
check-protocol: $(RUN_STAMP) ## fail when the written schema or types are not the models'
	@$(BIN)/python -m penny.protocol.generate --check

.PHONY: format
format: $(DEV_STAMP) ## write the code the way ruff would
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: lock
lock: $(DEV_STAMP) ## compile the hashed requirements again from requirements/*.in
	@$(BIN)/pip install -q uv
	@cd requirements && for f in base dev conformance runpod triton fuzz; do ../$(BIN)/uv pip compile -q --generate-hashes --no-header --python-version 3.11 $$f.in -o $$f.txt; done
	@cd requirements && ../$(BIN)/uv pip compile -q --generate-hashes --no-header --no-deps vad.in -o vad.txt
	@cd requirements && for f in worker bench; do ../$(BIN)/uv pip compile -q --generate-hashes --no-header --python-version 3.11 --override overrides.in $$f.in -o $$f.txt; done

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Penny needs Python 3.11 or newer; found: $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements/base.txt requirements/vad.txt | $(VENV)/bin/python
	@echo "Installing what Penny needs (once, about a minute) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/base.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/vad.txt
	@touch $@

$(DEV_STAMP): requirements/dev.txt requirements/vad.txt | $(VENV)/bin/python
	@echo "Installing what the tests need (once, about a minute) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/vad.txt
	@touch $@ $(RUN_STAMP)

# torch first and by itself: it is in no lock, as its plain wheel brings gigabytes of CUDA and a
# GPU machine wants another build. Any pip arguments do: make test-worker TORCH="torch==2.13.0+cpu …"
$(WORKER_STAMP): requirements/worker.txt requirements/vad.txt
	@echo "Installing torch and the models' libraries into an environment of their own (once, minutes) ..."
	@$(PYTHON) -m venv $(WORKER)
	@$(WORKER)/bin/python -m pip install -q --disable-pip-version-check $(TORCH) || { \
	  echo "torch could not be installed; these tests need it. With a network:"; \
	  echo "  make $(MAKECMDGOALS)"; \
	  echo "or from another index or a wheel at hand:"; \
	  echo "  make $(MAKECMDGOALS) TORCH=\"torch==2.13.0 --index-url <index>\"    or    TORCH=/path/to/torch.whl"; exit 1; }
	@$(WORKER)/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/worker.txt
	@$(WORKER)/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/vad.txt
	@touch $@

$(TRITON_STAMP): requirements/triton.txt
	@echo "Installing a real tritonserver for the tests (once, about a minute) ..."
	@$(PYTHON) -m venv $(TRITON)
	@$(TRITON)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/triton.txt
	@touch $@

$(PEER_STAMP): requirements/bench.txt requirements/vad.txt
	@echo "Installing the peers into an environment of their own (once, about two minutes) ..."
	@$(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/bench.txt
	@$(PEER)/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/vad.txt
	@touch $@

$(CLIENTS_STAMP): requirements/conformance.txt | $(VENV)/bin/python
	@echo "Installing the Realtime clients into an environment of their own (once, about two minutes) ..."
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/conformance.txt
	@touch $@

$(RUNPOD_VENV)/.ready: requirements/runpod.txt requirements/vad.txt
	@echo "Installing RunPod's SDK in an environment of its own (once, about a minute) ..."
	@$(PYTHON) -m venv $(RUNPOD_VENV)
	@$(RUNPOD_VENV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/runpod.txt
	@$(RUNPOD_VENV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/vad.txt
	@touch $@

.PHONY: bench-kb
bench-kb: $(DEV_STAMP) ## knowledge base: 100,000 passages beside tantivy, bm25s and FTS5
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/bench-kb.in
	@$(BIN)/python -m tests.bench.kb_search

.PHONY: clean
clean: ## remove the environment and what Penny wrote
	@rm -rf $(VENV) $(WORKER) $(TRITON) $(PEER) $(CLIENTS) $(RUNPOD_VENV) var
	@rm -rf .mypy_cache .ruff_cache .pytest_cache

.PHONY: bench-brain
bench-brain: $(DEV_STAMP) ## latency of a call with the brain on, slow, failing and off
	@$(BIN)/python -m tests.bench.brain

.PHONY: soak
soak: $(DEV_STAMP) ## minutes of paced calls beside injected faults, then 25,000 short sessions
	@$(BIN)/python -m tests.soak.run
	@PENNY_LEAK_WARM_UP=15000 PENNY_LEAK_SESSIONS=10000 $(BIN)/python -m pytest -q -s -o faulthandler_timeout=0 tests/faults/test_leaks.py

.PHONY: fuzz
fuzz: $(DEV_STAMP) ## a million mutated inputs for every parser and for whole sessions
	@$(BIN)/python -m tests.fuzz.run --mutations 1000000

.PHONY: fuzz-guided
fuzz-guided: $(DEV_STAMP) ## nightly: coverage-guided fuzzing with atheris, a minute a target
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@for target in protocol realtime_session tenant_policy addresses config caller_session; do \
	  $(BIN)/python -m tests.fuzz.guided $$target -max_total_time=60 || exit 1; done
