"""Python as a library, which Triton's python backend loads and some systems leave out.

``python -m tests.worker_torch.libpython`` installs it where that is allowed (Debian, Ubuntu; root)
and says so before; elsewhere it says what to install and fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from ctypes.util import find_library
from pathlib import Path


PACKAGE = f"libpython{sysconfig.get_python_version()}"


def is_here() -> bool:
    beside = Path(sysconfig.get_config_var("LIBDIR") or "/") / f"{PACKAGE}.so.1.0"
    return beside.exists() or find_library(PACKAGE.removeprefix("lib")) is not None


def main() -> int:
    if is_here():
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"{PACKAGE}.so.1.0 is missing; on Debian: sudo apt-get install {PACKAGE}")
        return 1
    print(f"Installing {PACKAGE} for Triton (once, 7 MB).", flush=True)
    subprocess.run(("apt-get", "update", "-qq"), check=True)
    quiet = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", PACKAGE)
    subprocess.run(quiet, check=True, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
