"""Where traces go and how many: ``tracing`` of ``penny.yaml``, for the gateway and its workers."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from penny.aio.allow_list import AllowList
from penny.section import Section, check_http_address


class TracingSettings(Section):
    """OpenTelemetry spans over OTLP/HTTP. A collector's own credentials stand in the environment
    (``OTEL_EXPORTER_OTLP_HEADERS``), never here."""

    enabled: bool = Field(False, description="whether sessions are traced")
    endpoint: str = Field(
        "http://127.0.0.1:4318/v1/traces",
        description="OTLP/HTTP address of the collector; beyond loopback, one of "
        "`privacy.allowed_hosts`",
    )
    sample_ratio: float = Field(
        1.0, ge=0.0, le=1.0, description="share of sessions that is traced, whole"
    )
    propagate_to: tuple[str, ...] = Field(
        (),
        description="hosts of vendors and actions that are sent the `traceparent`; workers are",
    )
    queue_spans: int = Field(
        2048, ge=64, description="spans that wait for the collector; the oldest go first"
    )
    timeout_s: float = Field(5.0, gt=0, le=60, description="time the collector has to take a batch")

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        return check_http_address(
            url,
            "http(s)://host:port/v1/traces, where the collector listens",
            "set OTEL_EXPORTER_OTLP_HEADERS in the environment",
        )

    def refusal(self, allowed: AllowList) -> str:
        """Why spans of private sessions may not go to this collector, or ''."""
        parts = urlsplit(self.endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if allowed.allows(str(parts.hostname), port):
            return ""
        return (
            f"spans of private sessions would leave for {parts.hostname}; write "
            f"'{parts.hostname}:{port}' into privacy.allowed_hosts, or take a collector on this "
            "machine"
        )
