"""``tracing`` of ``penny.yaml``: OpenTelemetry spans, and to whom those of private sessions go."""

from __future__ import annotations

from penny.aio.allow_list import AllowList
from penny.tracing.settings import TracingSettings, refuse_collector


class TracingSection(TracingSettings):
    """``tracing``: OpenTelemetry spans.

    Off by default; then nothing of it is loaded.
    """

    def refusal(self, allowed_hosts: tuple[str, ...], *, private: bool) -> str:
        """Why the collector may not be used, or ''.

        Args:
            private: whether this Penny has private sessions, whose spans would go there too.
        """
        if not self.enabled or not private:
            return ""
        return refuse_collector(self, AllowList(allowed_hosts))
