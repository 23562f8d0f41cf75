#!/bin/sh
# Starts the language model's server, waits until it answers, then takes jobs. Nothing takes a job
# before everything it needs can talk. PENNY_VLLM_MODEL names a folder of weights; without it the
# settings name another server, or none.
set -eu
export ORT_DISABLE_TELEMETRY=1

if [ -n "${PENNY_VLLM_MODEL:-}" ]; then
    # Hearing and speaking load beside it on the same card: 0.40 leaves them their share of 24 GB.
    /opt/vllm/bin/vllm serve "$PENNY_VLLM_MODEL" \
        --host 127.0.0.1 --port 8000 --served-model-name "${PENNY_VLLM_NAME:-Qwen/Qwen2.5-7B-Instruct}" \
        --gpu-memory-utilization "${PENNY_VLLM_MEMORY:-0.40}" \
        --max-model-len 8192 --max-num-seqs 16 --enable-auto-tool-choice --tool-call-parser hermes &
    server=$!
    until python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health')" 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || { echo "the language model's server ended while loading" >&2; exit 1; }
        sleep 1
    done
fi

exec python -m runpod_worker.handler
