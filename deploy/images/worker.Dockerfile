# The worker with GPU libraries (build from the repository's root):
#   docker build -f deploy/images/worker.Dockerfile -t penny-worker .
#   docker build -f deploy/images/worker.Dockerfile --target runpod -t penny-worker-runpod .
# Extras: VLLM=1 adds a language model server in an environment of its own, XTTS=1 coqui-tts in
# another: their torch versions do not agree, so they never share one.
# CUDA's libraries come as locked wheels: no base image that holds them a second time.
FROM python:3.11-slim-bookworm AS runpod

ARG VLLM=1
ARG XTTS=0

ENV ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PATH=/opt/penny/bin:/usr/local/bin:/usr/sbin:/usr/bin:/bin
WORKDIR /app

# Complete locks: nothing is resolved.
ENV LOCKED="--no-deps --require-hashes --only-binary :all:"
COPY requirements requirements
RUN python3 -m venv /opt/penny && pip install $LOCKED -r requirements/runpod.txt && pip install $LOCKED -r requirements/image.txt
# CTranslate2 finds the libraries of these packages here.
ENV LD_LIBRARY_PATH=/opt/penny/lib/python3.11/site-packages/nvidia/cublas/lib:/opt/penny/lib/python3.11/site-packages/nvidia/cudnn/lib

RUN if [ "$VLLM" = 1 ]; then python3 -m venv /opt/vllm \
    && /opt/vllm/bin/pip install $LOCKED -r requirements/vllm.txt; fi
RUN if [ "$XTTS" = 1 ]; then python3 -m venv /opt/xtts \
    && /opt/xtts/bin/pip install $LOCKED -r requirements/torch.txt \
    && /opt/xtts/bin/pip install $LOCKED -r requirements/worker.txt; fi

# Only what the worker imports; a test copies these lines and imports the worker from the copy.
COPY penny/__init__.py penny/dense.py penny/errors.py penny/ids.py penny/localized.py penny/logs.py penny/section.py penny/writable.py penny/
COPY penny/aio penny/aio
COPY penny/audio penny/audio
COPY penny/correction penny/correction
COPY penny/realtime penny/realtime
COPY penny/tracing penny/tracing
COPY penny/turns penny/turns
COPY kb kb
COPY runpod_worker runpod_worker

# Weights stay on the volume: `var/models` of the settings is a folder there.
RUN mkdir -p var && ln -s /runpod-volume/models var/models

CMD ["sh", "runpod_worker/start.sh"]

# On a machine of your own: `penny worker`, told by penny.yaml. Weights are in /app/var/models.
FROM runpod AS worker

RUN groupadd --gid 10001 penny \
    && useradd --uid 10001 --gid 10001 --home-dir /app --no-create-home --shell /usr/sbin/nologin penny
COPY penny penny
COPY modes modes
COPY brain brain
COPY config config
COPY deploy/config deploy/config
COPY penny.yaml penny.yaml
RUN rm var/models && mkdir var/models && chown -R penny:penny var

ENV PYTHONDONTWRITEBYTECODE=1 \
    PENNY_CONFIG=/app/deploy/config/environment.yaml \
    PENNY_WORKER_HOST=0.0.0.0
USER 10001:10001
VOLUME /app/var
EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=180s --retries=3 \
    CMD ["/opt/penny/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8090/health', timeout=3)"]
ENTRYPOINT ["/opt/penny/bin/python", "-m", "penny"]
CMD ["worker"]
