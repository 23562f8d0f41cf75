"""Tests with RunPod's own SDK, which has an environment of its own: ``make test-runpod``.

Without ``PENNY_RUNPOD_PYTHON`` (that environment's Python) there is nothing to collect here.
"""

from __future__ import annotations

import os


collect_ignore_glob = [] if os.environ.get("PENNY_RUNPOD_PYTHON") else ["test_*.py"]
