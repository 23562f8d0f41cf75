"""What models are told, and are to say, is in the language of the session, from one table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from brain.actions import ActionDesk, offer_tools
from brain.texts import read_table, texts_of
from config.brain import Action
from config.loader import load


pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[2]
SPANISH = re.compile(
    r"[¿¡áéíóúñ]|\b(acc?ion|datos?|del?|el|espera|esta|fuente|la|las|los|nota|persona|que|una?)\b",
    re.IGNORECASE,
)
PAY = Action(description="Pay", endpoint="https://x.test/pay", confirm=True)
CARD = Action(
    description="Charge",
    endpoint="https://x.test/charge",
    parameters={"type": "object", "properties": {"card": {"type": "string", "format": "pin"}}},
)


def fields_of(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("table", ["told", "blocks"])
def test_both_languages_have_every_text_with_the_same_places(table: str) -> None:
    both = read_table(table)

    assert both["es"].keys() == both["en"].keys()
    for name, spanish in both["es"].items():
        assert fields_of(spanish) == fields_of(both["en"][name]), name
        assert spanish != both["en"][name] or not spanish.strip("«{}»"), name
        assert not SPANISH.search(both["en"][name]), name


def test_fillers_and_sentences_of_an_english_session_are_english() -> None:
    config = load(ROOT / "penny.yaml", {})
    spoken = config.worker.spoken

    said = [*config.actions.fillers_en, *spoken.fillers["en"]]
    said += [each["en"] for each in (spoken.not_understood, spoken.apology, spoken.replaced)]
    assert said
    assert [each for each in said if SPANISH.search(each)] == []


@pytest.mark.parametrize("language", ["es-ES", "en-GB"])
def test_every_refusal_of_an_action_is_in_the_language_of_the_session(language: str) -> None:
    texts = texts_of(language)
    desk = ActionDesk({"pay": PAY, "charge": CARD}, "sess_1", language)

    def refusal(name: str, arguments: str, turn: int, words: str = "") -> str:
        return desk.judge(f"{name}{arguments}{turn}", name, arguments, turn, words).message

    assert refusal("dance", "{}", 1) == texts["unknown"]
    assert refusal("charge", "{}", 1) == texts["ask_secret"].format("card")
    assert refusal("pay", "{", 1) == f"{texts['arguments']} (not JSON)"
    assert refusal("search_knowledge", "{}", 1) == texts["arguments"]
    assert refusal("pay", "{}", 1) == texts["ask_first"]
    assert refusal("pay", "{}", 2, "no") == texts["declined"]
    tools = offer_tools({"pay": PAY}, language, search=True)
    assert [tool["description"] for tool in tools] == [
        texts["search"],
        f"{PAY.description} {texts['confirm']}",
    ]


def sentences_in(path: Path) -> Iterator[str]:
    """String literals of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_no_sentence_in_spanish_stands_in_the_code_of_the_brain_and_the_modes() -> None:
    """They are in tables, with their English: a text in the code is in one language only."""
    found = {
        f"{path.relative_to(ROOT)}: {text}"
        for folder in ("brain", "modes/external")
        for path in (ROOT / folder).rglob("*.py")
        for text in sentences_in(path)
        if text.count(" ") >= 2 and len(set(SPANISH.findall(text))) >= 2
    }

    # Said to the search to warm it up, and read by it alone.
    assert {each for each in found if "WARM_UP" not in each and "F-2024-1234" not in each} == set()
