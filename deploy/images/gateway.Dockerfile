# The gateway, and what else needs no GPU: `worker`, `check`, `backup`, migrations. No torch.
#   docker build -f deploy/images/gateway.Dockerfile -t penny-gateway .
# Run it with a read-only root: it writes to /app/var and /tmp alone.
FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
# Complete locks: nothing is resolved, so the same commit gives the same packages.
COPY requirements/base.txt requirements/base.txt
RUN python3 -m venv /opt/penny \
    && /opt/penny/bin/pip install --no-deps --require-hashes --only-binary :all: -r requirements/base.txt \
    && /opt/penny/bin/pip uninstall --yes pip setuptools \
    && find /opt/penny -name tests -type d -path "*/numpy/*" -prune -exec rm -r {} +

FROM python:3.11-slim-bookworm

RUN groupadd --gid 10001 penny \
    && useradd --uid 10001 --gid 10001 --home-dir /app --no-create-home --shell /usr/sbin/nologin penny
COPY --from=build /opt/penny /opt/penny
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
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["/opt/penny/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=3)"]
ENTRYPOINT ["/opt/penny/bin/python", "-m", "penny"]
CMD ["serve"]
