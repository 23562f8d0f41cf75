"""What npm would publish is whole, and what the pages ask for is there, and ours."""

from __future__ import annotations

import json
import re

import pytest

from penny.gateway.pages import ROOMS, render
from penny.gateway.routes import WEB_ROOT


pytestmark = pytest.mark.pure


IMPORT = re.compile(r'(?:from|import|new URL\()\s*"(\./[^"]+)"')
MANIFEST = json.loads((WEB_ROOT / "package.json").read_text(encoding="utf-8"))
SCRIPTS = sorted(path.name for path in WEB_ROOT.glob("*.js"))


def imports_of(name: str) -> set[str]:
    text = (WEB_ROOT / name).read_text(encoding="utf-8")
    return {found.removeprefix("./") for found in IMPORT.findall(text)}


def test_published_files_exist_and_import_only_each_other() -> None:
    files = set(MANIFEST["files"])

    assert {name for name in files if not (WEB_ROOT / name).is_file()} == set()
    scripts = {name for name in files if name.endswith(".js")}
    assert {name: imports_of(name) - files for name in scripts if imports_of(name) - files} == {}
    assert {name.removesuffix(".js") + ".d.ts" for name in imports_of("client.d.ts")} <= files
    assert imports_of("audio.js") == {"capture-worklet.js", "player-worklet.js"}
    assert "dependencies" not in MANIFEST


def test_every_export_is_published() -> None:
    targets = re.findall(r'"\./([^"]+\.(?:js|d\.ts))"', json.dumps(MANIFEST["exports"]))

    assert set(targets) <= set(MANIFEST["files"])
    assert MANIFEST["main"].removeprefix("./") in MANIFEST["files"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_imports_what_is_there(name: str) -> None:
    assert {found for found in imports_of(name) if not (WEB_ROOT / found).is_file()} == set()


@pytest.mark.parametrize("page", [room.path for room in ROOMS])
def test_page_has_nothing_inline_and_asks_only_this_house(page: str) -> None:
    html = render(page).decode()
    assert "{{" not in html

    assert re.findall(r"<style|<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=", html) == []
    assert re.findall(r'(?:src|href)="(?!/web/|/openapi.json"|#)[^"]*"', html) == []


def test_both_languages_say_the_same_things() -> None:
    def keys(name: str) -> list[str]:
        text = (WEB_ROOT / name).read_text(encoding="utf-8")
        return re.findall(r"^\s+(\w+):", text, re.MULTILINE)

    assert keys("words-es.js") == keys("words-en.js")
    assert len(keys("words-es.js")) > 100
