"""A process without descriptors says so once, and again when it has some."""

from __future__ import annotations

import subprocess
import sys

import pytest


pytestmark = pytest.mark.process

USED_UP = """
import os, resource
from structlog.testing import capture_logs
from penny.gateway.health import DescriptorWatch

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
watch, held = DescriptorWatch(), []
with capture_logs() as logs:
    watch.look()
    assert watch.fault() == "", watch.fault()
    try:
        while True:
            held.append(os.dup(2))
    except OSError:
        pass
    for _ in range(3):
        watch.look()
    told = watch.fault()
    for descriptor in held:
        os.close(descriptor)
    watch.look()
print(told)
print(watch.fault())
print(*((each["event"], each.get("limit")) for each in logs))
"""


def test_descriptors_that_are_used_up_are_told_once() -> None:
    run = subprocess.run(
        [sys.executable, "-c", USED_UP], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        "no file descriptor is left: new callers are closed",
        "",
        "('descriptors_used_up', 64) ('descriptors_free_again', None)",
    ]
