"""The heap's settings are taken where the C library is glibc."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest


pytestmark = pytest.mark.process


def test_they_are_taken_by_glibc_and_passed_over_elsewhere() -> None:
    command = (sys.executable, "-c", "from penny.gateway.heap import settle_heap as s; print(s())")
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert told == str(platform.libc_ver()[0] == "glibc")
