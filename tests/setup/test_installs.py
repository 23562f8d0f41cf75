"""The Makefile's own installs, from an index that has moved on since the locks were written."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.setup import package_index


# a busy machine takes its time to make environments
pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
RULE = re.compile(r"^\$\((?P<stamp>\w+_STAMP)\):.*\n\t@\$\(INSTALL\) ", re.MULTILINE)
STAMPS = {
    "RUN_STAMP": ["base"],
    "DEV_STAMP": ["dev"],
    "RUNPOD_STAMP": ["runpod"],
    "WORKER_STAMP": ["torch", "worker"],
    "TRITON_STAMP": ["triton"],
    "PEER_STAMP": ["peers"],
    "LOCK_STAMP": ["lock"],
}
LOCKED = re.compile(r"^(?P<pin>[^\s;#]+==[^\s;]+)(?: ; (?P<marker>[^\\\n]+?))? ?\\?$", re.MULTILINE)


class Checkout:
    """A copy of the Makefile and the locks, whose index is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.folder.mkdir()
        shutil.copy(ROOT / "Makefile", self.folder)
        shutil.copytree(ROOT / "requirements", self.folder / "requirements")
        package_index.lay_out(self.folder / "requirements", folder / "index")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "MAKE", "MFLAGS", "VIRTUAL_ENV"))
        } | {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": (folder / "index").as_uri(),
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_COMPILE": "1",
        }

    def make(self, stamp: str) -> None:
        """Have the Makefile build the environment of a stamp's variable."""
        done = subprocess.run(
            self._making(stamp),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def kill_making(self, stamp: str) -> None:
        """The same, killed with all its children while the packages are unpacked."""
        with subprocess.Popen(
            self._making(stamp),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as making:
            assert making.stdout is not None
            assert any("unpacking" in line for line in making.stdout)
            os.killpg(making.pid, signal.SIGKILL)

    def _making(self, stamp: str) -> list[str]:
        return ["make", f"PYTHON={sys.executable}", self.path(stamp)]

    def environment_of(self, stamp: str) -> Path:
        return (self.folder / self.path(stamp)).parent

    def path(self, variable: str) -> str:
        """What a variable of the Makefile stands for."""
        value = re.search(rf"^{variable} := (.*)$", MAKEFILE, re.MULTILINE)
        assert value is not None, variable
        return re.sub(r"\$\((\w+)\)", lambda inner: self.path(inner[1]), value[1])

    def installed(self, environment: Path) -> set[str]:
        listing = [str(environment / "bin/python"), "-m", "pip", "list", "--format", "json"]
        done = subprocess.run(
            listing, env=self.environment, capture_output=True, text=True, check=True
        )
        return {
            f"{canonicalize_name(one['name'])}=={one['version']}" for one in json.loads(done.stdout)
        }

    def locked(self, lock: str) -> set[str]:
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        return {
            match["pin"]
            for match in LOCKED.finditer(text)
            if match["marker"] is None or Marker(match["marker"]).evaluate()
        }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("setup"))


def test_every_install_of_the_makefile_is_known_here() -> None:
    assert {match["stamp"] for match in RULE.finditer(MAKEFILE)} == set(STAMPS)
    assert "pip install" not in MAKEFILE


def test_every_install_of_the_image_takes_a_lock() -> None:
    text = (ROOT / "deploy/images/worker.Dockerfile").read_text()

    installs = re.findall(r"pip install (.*?)(?: &&|; fi| \\|$)", text, re.MULTILINE)

    assert len(installs) == 5
    assert all(re.fullmatch(r"\$LOCKED -r requirements/\w+\.txt", each) for each in installs)
    assert 'LOCKED="--no-deps --require-hashes --only-binary :all:"' in text


@pytest.mark.parametrize(("stamp", "locks"), STAMPS.items())
def test_an_install_takes_what_the_lock_says_though_everything_has_a_newer_release(
    checkout: Checkout, stamp: str, locks: list[str]
) -> None:
    checkout.make(stamp)

    installed = checkout.installed(checkout.environment_of(stamp))
    locked = set().union(*map(checkout.locked, locks))
    assert locked
    assert locked <= installed
    others = {package.split("==")[0] for package in installed - locked}
    assert others <= {"pip", "setuptools"}, "these come with the environment"


def test_an_install_that_resolved_would_fail_here(checkout: Checkout) -> None:
    checkout.make("RUN_STAMP")
    python = str(checkout.environment_of("RUN_STAMP") / "bin" / "python")

    done = subprocess.run(
        [python, "-m", "pip", "install", "--require-hashes", "-r", "requirements/base.txt"],
        cwd=checkout.folder,
        env=checkout.environment | {"PIP_IGNORE_INSTALLED": "1"},
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert "[every]" in done.stderr


def test_an_install_killed_halfway_leaves_what_was_there_and_the_next_one_works(
    tmp_path: Path,
) -> None:
    checkout = Checkout(tmp_path)
    environment = checkout.environment_of("LOCK_STAMP")

    checkout.kill_making("LOCK_STAMP")

    assert not environment.exists()
    checkout.make("LOCK_STAMP")
    before = checkout.installed(environment)
    assert checkout.locked("lock") <= before
    assert [path.name for path in checkout.folder.glob(".venv-lock*") if path.is_dir()] == [
        ".venv-lock"
    ]
    script = subprocess.run([environment / "bin" / "run-uv"], capture_output=True, text=True)
    assert script.stdout == "", "a console script returns what it is told, and says nothing"
    assert script.stderr.strip() == platform.python_version()

    lock = checkout.folder / "requirements" / "lock.txt"
    lock.write_text(f"# changed\n{lock.read_text()}")
    checkout.kill_making("LOCK_STAMP")

    assert checkout.installed(environment) == before


def test_a_package_that_misses_another_is_no_environment_unless_that_is_left_out_by_name(
    tmp_path: Path,
) -> None:
    checkout = Checkout(tmp_path)
    left_out = checkout.folder / "requirements" / "overrides.in"
    left_out.write_text(left_out.read_text().replace("torch ;", "another ;"))

    with pytest.raises(AssertionError, match=r"silero-vad \S+ requires torch"):
        checkout.make("RUN_STAMP")

    assert not checkout.environment_of("RUN_STAMP").exists()
