"""Loading what was saved through Asterisk's console; a live one where ``PENNY_ASTERISK`` names it.

``PENNY_ASTERISK`` is the command that runs a console line, such as ``asterisk -rx``, of an Asterisk
whose ``pjsip.conf`` and ``extensions.conf`` include the files of ``PENNY_ASTERISK_FOLDER``.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from config.telephony import TelephonySection
from penny.telephony.reception import read_reception
from penny.telephony.store import LinesUnavailable, TelephonyStore
from tests.penny.telephony.shapes import a_trunk, an_fxo


pytestmark = pytest.mark.process

CONSOLE = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.penny.telephony.asterisk_reader import read_file
folder, line = Path({folder!r}), sys.argv[1]
with (folder / "asked").open("a") as asked:
    asked.write(line + "\\n")
name = line.split()[-1]
kind = "pjsip" if line.startswith("pjsip") else "extensions"
if "reload" in line:
    sys.exit(3 if (folder / "down").exists() else 0)
sections = read_file(folder / "asterisk" / f"penny_{{kind}}.conf")
if name in sections and not ((folder / "deaf").exists() and "trunk" in name):
    print(f" Endpoint:  {{name}}    Unavailable   0 of inf", *sections[name], sep="\\n")
else:
    print("Unable to find object", name)
"""


@pytest.fixture
def store(tmp_path: Path) -> TelephonyStore:
    """One whose Asterisk loads its files: a live one where it is named."""
    named = os.environ.get("PENNY_ASTERISK")
    if not named:
        return open_scripted(tmp_path)
    return open_store(Path(os.environ["PENNY_ASTERISK_FOLDER"]), shlex.split(named))


def open_scripted(folder: Path) -> TelephonyStore:
    """One whose Asterisk reads its files as Asterisk would, and can be broken at will."""
    script = folder / "console.py"
    root = str(Path(__file__).parents[3])
    script.write_text(CONSOLE.format(root=root, folder=str(folder)))
    return open_store(folder, [sys.executable, str(script)])


def open_store(folder: Path, command: list[str]) -> TelephonyStore:
    section = TelephonySection.model_validate({"asterisk": {"command": command}})
    return TelephonyStore(folder, section, {})


def test_what_is_saved_is_loaded(store: TelephonyStore) -> None:
    store.save("default", read_reception(an_fxo()))
    lines = store.save("acme", read_reception(a_trunk(host="127.0.0.1")))

    assert [line.id for line in lines.receiving()] == ["fxo-1", "trunk-1"]


def test_what_asterisk_does_not_load_is_rolled_back_and_the_old_loaded_again(
    tmp_path: Path,
) -> None:
    store = open_scripted(tmp_path)
    store.save("default", read_reception(an_fxo()))
    files = [path for path in (tmp_path / "asterisk").iterdir() if path.suffix == ".conf"]
    before = {path: path.read_bytes() for path in files}
    (tmp_path / "deaf").touch()
    (tmp_path / "asked").unlink()
    with pytest.raises(LinesUnavailable, match="did not load trunk-1"):
        store.save("acme", read_reception(a_trunk()))
    assert {path: path.read_bytes() for path in files} == before
    assert store.read().of("acme") == (None, None)
    assert not (store.secrets / "trunk-1.conf").exists()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-2:] == ["module reload res_pjsip.so", "dialplan reload"]
    assert asked.count("dialplan reload") == 2
    (tmp_path / "down").touch()
    with pytest.raises(LinesUnavailable, match="console refused"):
        store.save("default", read_reception(an_fxo(fxo_ports=2)))
    assert {path: path.read_bytes() for path in files} == before
