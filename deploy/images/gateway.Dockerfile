# Two images without torch, of one set of locks (build from the repository's root):
#   docker build -f deploy/images/gateway.Dockerfile -t penny-gateway .
#   docker build -f deploy/images/gateway.Dockerfile --target cpu -t penny-cpu .
# `gateway` has no engine: its workers are elsewhere. `cpu` has those that need no GPU, for `worker`
# and `analyse --worker`. Run both with a read-only root: they write to /app/var and /tmp alone.
FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
# Complete locks: nothing is resolved, so the same commit gives the same packages.
ENV LOCKED="--no-deps --require-hashes --only-binary :all:"
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
COPY requirements/gateway.txt requirements/base.txt requirements/
RUN python3 -m venv /opt/penny \
    && /opt/penny/bin/pip install $LOCKED -r requirements/gateway.txt \
    && find /opt/penny -name tests -type d -path "*/numpy/*" -prune -exec rm -r {} +

FROM build AS build-gateway

# Wheels bring symbols for debuggers, 60 MB here. What auditwheel patched (*.libs) is left alone.
RUN /opt/penny/bin/pip uninstall --yes pip setuptools \
    && find /opt/penny -name "*.so*" -type f -not -path "*.libs/*" -exec strip --strip-unneeded {} +

FROM build AS build-cpu

RUN /opt/penny/bin/pip install $LOCKED -r requirements/base.txt \
    && /opt/penny/bin/pip uninstall --yes pip setuptools \
    && find /opt/penny -name "*.so*" -type f -not -path "*.libs/*" -exec strip --strip-unneeded {} +

FROM python:3.11-slim-bookworm AS penny

RUN groupadd --gid 10001 penny \
    && useradd --uid 10001 --gid 10001 --home-dir /app --no-create-home --shell /usr/sbin/nologin penny
WORKDIR /app
COPY penny penny
COPY modes modes
COPY brain brain
COPY kb kb
COPY config config
COPY runpod_worker runpod_worker
COPY deploy/config deploy/config
COPY penny.yaml penny.yaml
RUN mkdir var && chown penny:penny var

ENV PATH=/opt/penny/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    PENNY_CONFIG=/app/deploy/config/environment.yaml \
    PENNY_HOST=0.0.0.0 \
    PENNY_WORKER_HOST=0.0.0.0
USER 10001:10001
VOLUME /app/var
ENTRYPOINT ["/opt/penny/bin/python", "-m", "penny"]

FROM penny AS cpu

COPY --from=build-cpu /opt/penny /opt/penny
EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["/opt/penny/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8090/health', timeout=3)"]
CMD ["worker"]

FROM penny AS gateway

COPY --from=build-gateway /opt/penny /opt/penny
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["/opt/penny/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=3)"]
CMD ["serve"]
