"""The page and the browser client: static files, and the headers they must be served with."""

from __future__ import annotations

from pathlib import Path


ROOT = Path(__file__).parent
"""Served file by file under ``/web/``; ``index.html`` also at ``/``."""

FILES: dict[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
}
"""Suffixes that may be served, with their content type; nothing else in the folder is."""

HEADERS: dict[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
"""Sent with every file: no inline script or style, no request to anyone else."""
