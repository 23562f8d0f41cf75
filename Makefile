# Everything a newcomer needs: `make run` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
# onnxruntime tells its vendor of every start unless this is set before it is imported.
export ORT_DISABLE_TELEMETRY := 1
# Where this is set, each of the hundreds of processes that tests start compiles every library anew.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
RUNPOD_VENV := .venv-runpod
RUNPOD_STAMP := $(RUNPOD_VENV)/.made
RUN_STAMP := $(VENV)/.run
DEV_STAMP := $(VENV)/.dev
WORKER := .venv-worker
WORKER_STAMP := $(WORKER)/.made
TRITON := .venv-triton
TRITON_STAMP := $(TRITON)/.made
PEER := .venv-peers
PEER_STAMP := $(PEER)/.made
NODE := tests/conformance/node
NODE_STAMP := $(NODE)/node_modules/.made
LOCK := .venv-lock
LOCK_STAMP := $(LOCK)/.made
TORCH ?=
# Tests at a time: four on two cores, since most of a test is waiting. JOBS=0: one after the other.
JOBS ?= 4
# The floors whose every branch their own tests take.
PURE := realtime protocol audio turns

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.PHONY: run
run: $(RUN_STAMP) ## set everything up and start Penny on http://127.0.0.1:8080 (LIGHT=1: download nothing)
	@PENNY_LIGHT=$(LIGHT) $(BIN)/python -m penny serve --sample

.PHONY: demo
demo: $(RUN_STAMP) ## EXTERNAL without a key: a second Penny stands in for the vendor
	@$(BIN)/python -m penny demo

.PHONY: setup
setup: $(RUN_STAMP) ## the environment alone
.PHONY: setup-dev
setup-dev: $(DEV_STAMP) ## the environment with the test and check tools

.PHONY: setup-browser
setup-browser: $(DEV_STAMP) ## a Chromium for the tests of the page, where there is none
	@{ command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$PENNY_CHROMIUM" ]; } && \
	$(BIN)/playwright --version >/dev/null 2>&1 || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the tests of the page (once):"; set -o pipefail; apt-get update -qq && \
	  apt-get install -y --no-install-recommends chromium libatomic1 | \
	  grep --line-buffered -E "^(Need to get|After this|Unpacking chromium|Setting up chromium) ?"; \
	else \
	  echo "The tests of the page need a Chromium, and only root can install one:"; \
	  echo "  sudo apt-get install chromium libatomic1    (or set PENNY_CHROMIUM to a browser's path)"; exit 1; \
	fi

.PHONY: test
test: $(DEV_STAMP) setup-browser ## set everything up and pass the tests
	@$(BIN)/python -m tests.steady -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: test-fast
test-fast: $(DEV_STAMP) ## the tests that leave the process neither by sockets nor by time: under a minute
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --hypothesis-profile=fast -m "(pure or virtual_time) and not (slow or socket)" \
	  $$(grep -rlE "mark\.(pure|virtual_time)" tests --include="test_*.py" --exclude-dir=worker_torch)

.PHONY: coverage
coverage: $(DEV_STAMP) ## every branch of the pure floors is taken by a test without chance, or this fails
	@$(BIN)/python -m tests.steady -q -n $(JOBS) $(PURE:%=tests/penny/%) -m "not hypothesis" \
	  $(PURE:%=--cov=penny/%) --cov-branch --cov-report=
	@$(BIN)/coverage report --show-missing --skip-covered --fail-under=100

.PHONY: test-worker
test-worker: $(WORKER_STAMP) $(TRITON_STAMP) ## the engines that need torch, and a real Triton (environments of their own)
	@$(WORKER)/bin/python -m tests.worker_torch.libpython
	@$(WORKER)/bin/python -m tests.worker_torch.checkpoints
	@$(WORKER)/bin/python -m pytest -q tests/worker_torch

.PHONY: test-natural
test-natural: $(DEV_STAMP) ## download profile natural (208 MB) and hear and speak with it
	@$(BIN)/python -m penny models pull natural
	@$(BIN)/python -m tests.newcomer.natural

.PHONY: test-newcomer
test-newcomer: $(DEV_STAMP) setup-browser ## clone, run, ask ten questions, interrupt, look: minutes, all downloaded
	@$(BIN)/python -m tests.newcomer.run $(if $(SPEECH),--speech $(SPEECH))

.PHONY: test-kept-calls
test-kept-calls: $(DEV_STAMP) ## twenty gateways killed in five calls each; database, bucket and disk away
	@PENNY_KILLS=20 $(BIN)/python -m pytest -q -n 0 tests/faults/test_kept_calls.py tests/penny/calls/test_shelf.py

# The other environments are installed while the tests that need none of them run.
.PHONY: test-all
test-all: $(DEV_STAMP) ## set everything up and pass every check and test, as CI does
	@$(MAKE) --no-print-directory -j 2 test-here setup-others
	@$(MAKE) --no-print-directory test-runpod test-worker bench-quick
	@cat var/unsteady.txt 2>/dev/null || true

.PHONY: test-here
test-here:
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory coverage

.PHONY: setup-others
setup-others:
	@$(MAKE) --no-print-directory $(RUNPOD_STAMP)
	@$(MAKE) --no-print-directory $(TRITON_STAMP)
	@$(MAKE) --no-print-directory $(WORKER_STAMP)

.PHONY: bench
bench: bench-relay bench-pipeline ## every measurement: relay and pipeline beside floors and peers

.PHONY: bench-relay
bench-relay: $(DEV_STAMP) $(PEER_STAMP) ## what the gateway adds to a frame, about 35 minutes
	@$(BIN)/python -m tests.bench.relay

.PHONY: bench-quick
bench-quick: $(DEV_STAMP) ## fail when a session costs far more than a bare relay, two minutes
	@$(BIN)/python -m tests.bench.relay --quick

.PHONY: bench-turns
bench-turns: $(DEV_STAMP) ## how Penny takes turns, scored from the sound of both channels; about 10 min
	@$(BIN)/python -m tests.bench.turns --write

.PHONY: bench-pipeline
bench-pipeline: $(DEV_STAMP) $(PEER_STAMP) ## what the pipeline adds to its engines, beside pipecat
	@$(BIN)/python -m tests.bench.pipeline

.PHONY: bench-webrtc
bench-webrtc: $(DEV_STAMP) ## a call over WebRTC beside the socket, on networks that lose and delay (root)
	@$(BIN)/python -m tests.bench.webrtc --write --speech $(SPEECH)

.PHONY: bench-phone
bench-phone: $(DEV_STAMP) ## telephone wires before peers of ours: interruptions, positions, last words, keys; about 2 min
	@$(BIN)/python -m tests.bench.phone

.PHONY: bench-hearing
bench-hearing: $(DEV_STAMP) ## words, turns and silence on bad lines, raw and cleaned; needs weights and recordings, about 15 min
	@$(BIN)/python -m tests.bench.hearing --write $(if $(SPEECH),--speech $(SPEECH)) $(if $(PROMPTS),--prompts $(PROMPTS))

.PHONY: bench-analysis
bench-analysis: $(DEV_STAMP) ## moods, requests and entities on sentences that nothing was fitted to, class by class
	@$(BIN)/python -m tests.bench.analysis

.PHONY: bench-batch
bench-batch: $(DEV_STAMP) ## analysis of kept calls: calls a second by one and two workers, kills, frames beside it
	@$(BIN)/python -m tests.bench.batch

.PHONY: bench-calls
bench-calls: $(DEV_STAMP) ## 100,000 kept calls: searches beside bare SQL, exports; and what recording adds to a session
	@$(BIN)/python -m tests.bench.kept_calls
	@$(BIN)/python -m tests.bench.dashboard
	@$(BIN)/python -m tests.bench.relay --recording --seconds 3

.PHONY: bench-gpu
bench-gpu: $(WORKER_STAMP) ## full-size models of random weights on a GPU
	@$(WORKER)/bin/python -m tests.bench.gpu

.PHONY: conformance
conformance: $(DEV_STAMP) $(PEER_STAMP) $(NODE_STAMP) ## twelve unmodified Realtime clients talk with Penny, in both modes (PENNY_URL: with that one)
	@$(BIN)/python -m tests.conformance.run

.PHONY: test-runpod
test-runpod: $(DEV_STAMP) $(RUNPOD_STAMP) ## pass the worker's tests with RunPod's own SDK
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
lock: $(LOCK_STAMP) ## compile requirements/*.in (UPGRADE=1: to the newest), report changes, licences, advisories
	@$(LOCK)/bin/python requirements/lock.py $(if $(UPGRADE),--upgrade)

.PHONY: test-roots
test-roots: ## the first command on clean Debian roots, as root; ALL=1: the second one, too
	@tests/setup/roots.sh $(ROOTS_TRIED)

.PHONY: test-images
test-images: $(DEV_STAMP) ## images built by their steps in a bare root, asked a spoken question there (root)
	@$(BIN)/python -m tests.setup.images

.PHONY: test-deploy
test-deploy: $(DEV_STAMP) ## rules by promtool, manifests by kubernetes-validate, compose by docker-compose: those that are here
	@$(BIN)/python -m tests.deploy.tools

.PHONY: sbom
sbom: $(LOCK_STAMP) ## what the images hold, as CycloneDX in var/sbom/
	@mkdir -p var/sbom
	@$(LOCK)/bin/python requirements/sbom.py penny-gateway gateway >var/sbom/penny-gateway.json
	@$(LOCK)/bin/python requirements/sbom.py penny-cpu base >var/sbom/penny-cpu.json
	@$(LOCK)/bin/python requirements/sbom.py penny-worker runpod image >var/sbom/penny-worker.json
	@ls -l var/sbom

.PHONY: capacity
capacity: $(DEV_STAMP) ## what each configuration carries and costs, from bench-results and deploy/capacity.yaml
	@$(BIN)/python -m tests.bench.capacity

.PHONY: check-locks
check-locks: $(LOCK_STAMP) ## ask the index for a wheel of everything locked, for every platform and Python
	@$(LOCK)/bin/python -m tests.setup.platforms

# Every environment is built aside from complete locks and moved into place when it is whole; nothing
# is resolved. requirements/README.md says which environment is for what.
INSTALL := $(PYTHON) requirements/install.py

$(RUN_STAMP): requirements/base.txt
	@$(INSTALL) $(VENV) $(if $(wildcard $(DEV_STAMP)),dev,base)
	@touch $@

$(DEV_STAMP): requirements/dev.txt
	@$(INSTALL) $(VENV) dev
	@touch $@ $(RUN_STAMP)

# Another torch by any of pip's arguments, which pip then resolves as they say:
#   make test-worker TORCH="torch==2.13.0+cpu --index-url …"    or    TORCH=/path/to/torch.whl
$(WORKER_STAMP): requirements/worker.txt requirements/torch.txt
	@$(INSTALL) $(WORKER) $(if $(TORCH),--torch "$(TORCH)",torch) worker
	@touch $@

$(TRITON_STAMP): requirements/triton.txt
	@$(INSTALL) $(TRITON) triton
	@touch $@

$(PEER_STAMP): requirements/peers.txt
	@$(INSTALL) $(PEER) peers
	@touch $@

# No addresses in its lock: the registry is whichever npm is set to.
$(NODE_STAMP): $(NODE)/package-lock.json
	@command -v npm >/dev/null || { echo "The clients in Node need Node.js 20 or newer and npm."; exit 1; }
	@echo "Setting up $(NODE) (once): $$(grep -c '"node_modules/' $<) packages, about 400 MB on the disk"
	@rm -rf $(NODE)/.new && mkdir $(NODE)/.new && cp $(NODE)/package*.json $(NODE)/.new
	@npm ci --prefix $(NODE)/.new --ignore-scripts --no-audit --no-fund --loglevel=error
	@rm -rf $(NODE)/node_modules && mv $(NODE)/.new/node_modules $(NODE) && rm -rf $(NODE)/.new
	@touch $@

$(RUNPOD_STAMP): requirements/runpod.txt
	@$(INSTALL) $(RUNPOD_VENV) runpod
	@touch $@

$(LOCK_STAMP): requirements/lock.txt
	@$(INSTALL) $(LOCK) lock
	@touch $@

.PHONY: bench-kb
bench-kb: $(DEV_STAMP) ## knowledge base: 100,000 passages beside tantivy, bm25s and FTS5
	@$(BIN)/python -m tests.bench.kb_search

.PHONY: clean
clean: ## remove the environment and what Penny wrote
	@rm -rf .venv .venv.* .venv-* $(NODE)/node_modules $(NODE)/.new var
	@rm -rf .mypy_cache .ruff_cache .pytest_cache

.PHONY: bench-brain
bench-brain: $(DEV_STAMP) ## latency of a call with the brain on, slow, failing and off
	@$(BIN)/python -m tests.bench.brain

.PHONY: attacks
attacks: $(DEV_STAMP) ## every attack of tests/attacks on real processes, measured; writes its tables
	@$(BIN)/python -m tests.attacks.run

.PHONY: bench-attacked
bench-attacked: $(DEV_STAMP) ## what others hear, and memory, while one caller attacks: calm and attacked rounds in turn, 7 min
	@$(BIN)/python -m tests.attacks.run deaf_updates large_messages burst_of_updates retrieves

.PHONY: test-private
test-private: $(DEV_STAMP) $(WORKER_STAMP) ## private calls of each engine for 3 minutes beside a trap that answers: nothing may reach it (Linux)
	@$(BIN)/python -m penny models pull natural
	@$(WORKER)/bin/python -m tests.worker_torch.checkpoints
	@PENNY_PRIVATE_ENGINES=embedded,natural,xtts PENNY_PRIVATE_SECONDS=180 $(BIN)/python -m pytest -q tests/private

.PHONY: test-webhooks
test-webhooks: $(DEV_STAMP) ## 1,000 events to receivers that fail in every way, by a gateway killed 20 times; minutes
	@$(BIN)/python -m tests.faults.webhook_run --events 1000 --kills 20

.PHONY: soak
soak: $(DEV_STAMP) ## minutes of paced calls beside injected faults, then 25,000 short sessions
	@$(BIN)/python -m tests.soak.run
	@PENNY_LEAK_WARM_UP=15000 PENNY_LEAK_SESSIONS=10000 $(BIN)/python -m pytest -q -s tests/faults/test_leaks.py

.PHONY: fuzz
fuzz: $(DEV_STAMP) ## a million mutated inputs for every parser and for whole sessions
	@$(BIN)/python -m tests.fuzz.run --mutations 1000000

.PHONY: fuzz-guided
fuzz-guided: $(DEV_STAMP) ## nightly: coverage-guided fuzzing with atheris, a minute a target
	@for target in protocol realtime_session tenant_policy addresses config caller_session; do \
	  $(BIN)/python -m tests.fuzz.guided $$target -max_total_time=60 || exit 1; done
