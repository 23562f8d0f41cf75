"""Keys of ``penny.yaml`` that an earlier version had: understood for one version, with a warning.

Empty the table of what an earlier version already warned about before each release.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.document import Document, Key, Value


@dataclass(frozen=True, slots=True)
class Retired:
    """A key that is gone. ``advice`` says what takes its place.

    With ``renamed_to`` its value counts as that key's; without, it is ignored.
    """

    advice: str
    renamed_to: str = ""


_MEASURED = "the page shows what this gateway has measured (latency_ms of GET /v1/modes)"
_NO_WORD_TIMES = Retired("no word's time is computed: none was used")
_NO_AUDIO = Retired("it was never read: a client says in session_start what it sends and takes")
_NO_CTRANSLATE2 = Retired(
    "a language model runs in process with llm: transformers, or behind any OpenAI-compatible "
    "server such as llama.cpp's (openai-compatible)"
)
RETIRED_KEYS: dict[str, Retired] = {
    "brain.max_notes": Retired("a note leaves the speaker's context when it no longer holds"),
    "kb.embedding_server.relevance": Retired("words and vectors are joined by their ranks"),
    "brain.journal": Retired(
        "kept calls hold folios, corrections and analyses (calls); `python -m penny calls "
        "import-journals` takes in the files of earlier versions"
    ),
    "brain.corrections.every_n_turns": Retired("corrections no longer wait for each other"),
    "runpod.floor": Retired("write runpod.min_workers", renamed_to="runpod.min_workers"),
    "worker.engines.openai_compatible.late_system_role": Retired(
        "a later system message is part of the caller's turn, which every template takes"
    ),
    "worker.engines.faster_whisper.word_times": _NO_WORD_TIMES,
    "profiles.*.engines.faster_whisper.word_times": _NO_WORD_TIMES,
    "worker.engines.ctranslate2": _NO_CTRANSLATE2,
    "profiles.*.engines.ctranslate2": _NO_CTRANSLATE2,
    "session.input_audio": _NO_AUDIO,
    "session.output_audio": _NO_AUDIO,
    "penny.modes.SELF_HOSTED.latency": Retired(_MEASURED),
    "penny.modes.EXTERNAL.latency": Retired(_MEASURED),
}


def take_retired(document: Document, keys: dict[str, Retired] | None = None) -> dict[str, str]:
    """Take the retired keys out of ``document``, and rename those that have a new name.

    A file that has a key under both names keeps the new one's value. ``*`` in a name is any one
    key. Returns a sentence for each key that was found, by its dotted name.
    """
    found: dict[str, str] = {}
    table = RETIRED_KEYS if keys is None else keys
    written = [(name, table[form]) for form in table for name in _named(document, form)]
    for name, retired in written:
        key: Key = tuple(name.split("."))
        section = _section_at(document.data, key)
        if section is None or key[-1] not in section:
            continue
        value = section.pop(str(key[-1]))
        effect = "is not used any more"
        if retired.renamed_to:
            effect = "has a new name"
            _rename(document, key, tuple(retired.renamed_to.split(".")), value)
        found[name] = f"{effect}: {retired.advice}"
    return found


def _rename(document: Document, old: Key, new: Key, value: Value) -> None:
    section = document.data
    for part in new[:-1]:
        inner = section.setdefault(str(part), {})
        if not isinstance(inner, dict):
            return  # reported by the schema: it is no section
        section = inner
    if str(new[-1]) in section:
        return
    section[str(new[-1])] = value
    # Errors in the value are reported at the line where the file has it.
    for key in [key for key in document.lines if key[: len(old)] == old]:
        document.lines[new + key[len(old) :]] = document.lines[key]
    moved = {new + key[len(old) :] for key in document.from_environment if key[: len(old)] == old}
    document.from_environment |= moved


def _named(document: Document, name: str) -> list[str]:
    """The names in the file that a retired key's name stands for."""
    before, starred, after = name.partition("*.")
    if not starred:
        return [name]
    section = _section_at(document.data, (*before.rstrip(".").split("."), "*"))
    return [f"{before}{each}.{after}" for each in section or ()]


def _section_at(data: dict[str, Value], key: Key) -> dict[str, Value] | None:
    """The mapping that holds the last part of ``key``; None where the file has none."""
    section: Value = data
    for part in key[:-1]:
        section = section.get(str(part)) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else None
