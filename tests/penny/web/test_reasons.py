"""The server's sentences that the Spanish page has: each is one that the server still says."""

from __future__ import annotations

import ast
import re

import pytest

from penny.gateway.routes import WEB_ROOT
from tests.sources import parsed


pytestmark = pytest.mark.pure

BEGINNING = re.compile(r'^  \["([^"]+)", "', re.MULTILINE)


def test_every_sentence_of_the_table_begins_as_one_of_the_code_does() -> None:
    begun = BEGINNING.findall((WEB_ROOT / "reasons-es.js").read_text(encoding="utf-8"))
    said = {
        node.value
        for tree in parsed("penny", "kb", "modes", "brain").values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert len(begun) > 30
    assert [each for each in begun if not any(text.startswith(each) for text in said)] == []
