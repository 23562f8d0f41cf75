"""Callers' questions for the passages of a collection, written by a model, read by its owner.

The model's proposals stand in the collection's folder as ``propuestas.yaml`` and are searched by
nothing. Its owner strikes out what is wrong, measures them, and accepts them: then they are
``frases.yaml``, and count as the phrases of their passages. Both say by which model and prompt they
were made, and when.
"""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog
import yaml

from kb.passage import Passage
from penny.errors import PennyError


log = structlog.get_logger()

ACCEPTED, PROPOSED = "frases.yaml", "propuestas.yaml"
PROMPT_VERSION = 1
_MOST = 8
_MOST_CHARS = 160
_WAIT_S = 120.0
_MAX_REPLY_BYTES = 1 << 20
_ASK = {
    "es": (
        "Eres quien llama por teléfono a un servicio de atención. Lee el pasaje y escribe {most} "
        "preguntas distintas que haría alguien a quien ese pasaje responde, como se dicen de "
        "viva voz: cortas, coloquiales, con otras palabras que las del pasaje, sin signos. Una por "
        "línea y nada más."
    ),
    "en": (
        "You call a service line. Read the passage and write {most} different questions that a "
        "caller whom it answers would ask, as they are spoken: short, colloquial, in other words "
        "than the passage's, without punctuation. One a line and nothing else."
    ),
}
_BULLET = re.compile(r"^[\s\d.)*•-]+")

Ask = Callable[[str, str], str]
"""A model: (what it is to do, the passage) -> its answer. Raises EnrichmentFailed."""


class EnrichmentFailed(PennyError):
    """The model did not answer, or the file of phrases is not one."""

    code = "kb_enrichment_failed"


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases by passage id, with what made them."""

    made_by: str
    phrases: dict[str, tuple[str, ...]]


class ChatModel:
    """An OpenAI-compatible ``/chat/completions``, asked one passage at a time.

    Args:
        url: base address of the server, such as ``http://127.0.0.1:8000/v1``.
        model: the name it knows.
        key: its bearer token; empty sends none.
    """

    def __init__(self, url: str, model: str, key: str) -> None:
        self._url = url.rstrip("/") + "/chat/completions"
        self._key = key
        self.name = model

    def ask(self, task: str, passage: str) -> str:
        """Raises EnrichmentFailed."""
        messages = [{"role": "system", "content": task}, {"role": "user", "content": passage}]
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        body = orjson.dumps({"model": self.name, "messages": messages, "temperature": 0.8})
        request = urllib.request.Request(self._url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_WAIT_S) as reply:
                answer = orjson.loads(reply.read(_MAX_REPLY_BYTES))
            return str(answer["choices"][0]["message"]["content"] or "")
        except urllib.error.HTTPError as error:
            with error:
                raise EnrichmentFailed(f"the model's server answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            name = type(getattr(error, "reason", error)).__name__
            raise EnrichmentFailed(f"no answer from the model's server: {name}") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise EnrichmentFailed("the model's reply has no choices[0].message.content") from error


def propose(
    passages: Iterable[Passage],
    ask: Ask,
    folder: Path,
    made_by: str,
    told: Callable[[int], None] = lambda _: None,
) -> int:
    """Write proposals for the passages that have no phrase yet; return for how many there are.

    What was proposed before is kept, and saved after every passage: an interrupted run goes on.

    Args:
        told: how many passages are done, after each.

    Raises:
        EnrichmentFailed: the model failed; what was written before stays.
    """
    path = folder / PROPOSED
    phrases = dict(read_phrases(path).phrases) if path.is_file() else {}
    for done, passage in enumerate(passages, 1):
        if passage.id not in phrases and not passage.phrases and not passage.fields:
            above = " > ".join(passage.heading)
            answer = ask(_ASK[passage.language].format(most=_MOST), f"{above}\n{passage.text}")
            phrases[passage.id] = _lines(answer)
            _write(path, Phrases(made_by, phrases))
        told(done)
    return len(phrases)


def accept(folder: Path) -> int:
    """Make the proposals count; return how many phrases they have.

    Raises:
        EnrichmentFailed: there are none, or the file is not one.
    """
    path = folder / PROPOSED
    if not path.is_file():
        raise EnrichmentFailed(f"there is no {PROPOSED}; `kb enrich` writes it")
    proposed = read_phrases(path)
    kept = folder / ACCEPTED
    before = read_phrases(kept).phrases if kept.is_file() else {}
    _write(kept, Phrases(proposed.made_by, before | proposed.phrases))
    path.unlink()
    return sum(map(len, proposed.phrases.values()))


def read_phrases(path: Path) -> Phrases:
    """Read a file of phrases. Raises EnrichmentFailed, naming what is wrong with it."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        rows = data["frases"].items()
        phrases = {str(name): tuple(map(str, said or ())) for name, said in rows}
        return Phrases(str(data.get("hecho_por", "")), phrases)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EnrichmentFailed(f"{path.name} cannot be read: {type(error).__name__}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise EnrichmentFailed(f"{path.name} wants 'frases:' with passage ids and lists") from error


def accepted_phrases(folder: Path) -> dict[str, tuple[str, ...]]:
    """The phrases of a collection by passage id; one that is broken is logged and counts not."""
    path = folder / ACCEPTED
    if not path.is_file():
        return {}
    try:
        return read_phrases(path).phrases
    except EnrichmentFailed as error:
        log.warning("kb_phrases_not_read", file=ACCEPTED, reason=error.message)
        return {}


def _lines(answer: str) -> tuple[str, ...]:
    lines = (_BULLET.sub("", line).strip()[:_MOST_CHARS] for line in answer.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))[:_MOST]


def _write(path: Path, phrases: Phrases) -> None:
    data = {
        "hecho_por": phrases.made_by,
        "frases": {name: list(said) for name, said in sorted(phrases.phrases.items())},
    }
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(
        yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120), encoding="utf-8"
    )
    partial.replace(path)
