"""The desk of actions: what may be done in the caller's name, when, and how often. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry

from brain.prompt import read_json
from brain.render import clean_text
from brain.texts import read_words, texts_of
from config.brain import Action
from kb.normal.stems import key_of
from kb.normal.words import cut_words, fold_accents
from penny.correction.identifiers import KINDS, Checked, check_identifier


Json = dict[str, Any]

SEARCH_TOOL = "search_knowledge"
CONFIRMED = "confirmado"
MAX_ARGUMENT_CHARS = 20_000
CONSENT_TURNS = 3
"""A yes confirms what was asked in one of so many turns before it."""


def offer_tools(actions: Mapping[str, Action], language: str, *, search: bool) -> list[Json]:
    """The function tools of a session, in the Realtime form."""
    texts = texts_of(language)
    tools: list[tuple[str, str, Json]] = []
    if search:
        query = {"type": "string", "description": texts["query"]}
        schema = {"type": "object", "properties": {"query": query}, "required": ["query"]}
        tools.append((SEARCH_TOOL, texts["search"], schema))
    for name, action in actions.items():
        parameters, description = dict(action.parameters), action.description
        if action.phrases:
            description += " " + " ".join(f"«{phrase}»" for phrase in action.phrases)
        if action.confirm:
            description += f" {texts['confirm']}"
            properties = {**parameters.get("properties", {}), CONFIRMED: {"type": "boolean"}}
            parameters["properties"] = properties
        if action.secrets:
            description += " " + texts["secret"].format(", ".join(action.secrets))
            needed = [each for each in parameters.get("required", ()) if each not in action.secrets]
            parameters["required"] = needed
        tools.append((name, description, parameters))
    return [
        {"type": "function", "name": name, "description": description, "parameters": parameters}
        for name, description, parameters in tools
    ]


def choose_actions(
    table: Mapping[str, Action], wanted: Sequence[str]
) -> tuple[dict[str, Action], list[str]]:
    """The declared ones among those a session asks for, and the names without a declaration."""
    declared = {name: table[name] for name in wanted if name in table}
    return declared, [name for name in wanted if name not in table]


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One call of an action. ``key``: its ``Idempotency-Key``, the same for the same wish."""

    call_id: str
    name: str
    arguments: Json
    turn: int
    key: str = ""


Verdict = Literal["run", "repeated", "confirm_first", "too_early", "unknown", "bad_arguments"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be done with a call. ``message``: for the speaker, where it is not run;
    ``first_call_id``: of ``repeated``, the call whose result this one shares."""

    call: ActionCall
    verdict: Verdict
    message: str = ""
    first_call_id: str = ""


@dataclass(slots=True)
class _Wish:
    """What the caller wants done: a name with arguments, from when it is first asked for."""

    key: str
    asked_turn: int | None = None
    """When the caller was last asked; None while they were not."""
    settled: Json = field(default_factory=dict)
    """Arguments that the question was asked with: these are done after a yes, and no others."""
    ran_as: str = ""
    ran_turn: int = 0
    in_doubt: bool = False


class ActionDesk:
    """The actions of one session: who may run, once each.

    A call is the same wish again if its id is known, or its name and arguments are those of a call
    that ran in the same turn: so a call that a reconnected model makes anew does not run twice.
    """

    def __init__(
        self, actions: Mapping[str, Action], session_id: str = "", language: str = "es"
    ) -> None:
        self.actions = actions
        self._texts = texts_of(language)
        self._session_id = session_id
        self._verdicts: dict[str, Judged] = {}
        self._wishes: dict[str, _Wish] = {}
        self._proposed: dict[str, int] = {}
        self._done: set[str] = set()
        self._schemas = {
            name: Draft202012Validator(action.parameters, registry=Registry())
            for name, action in actions.items()
        }

    def judge(self, call_id: str, name: str, arguments: str, turn: int, words: str) -> Judged:
        """Whether to run a call as it came from the wire; a yes among ``words``, the caller's in
        this turn ("" where unknown), confirms."""
        known = self._verdicts.get(call_id)
        if known is not None:
            first = known.first_call_id or call_id
            return Judged(known.call, "repeated", known.message, first)
        judged = self._judge(ActionCall(call_id, name, {}, turn), arguments, words)
        self._verdicts[call_id] = judged
        return judged

    def secrets(self, call: ActionCall) -> list[str]:
        """Which arguments of a call are never kept."""
        action = self.actions.get(call.name)
        return [name for name in action.secrets if name in call.arguments] if action else []

    def asked(self, call: ActionCall, settled: Json) -> None:
        """The caller is asked in this turn, by the question of the action's preview; ``settled``:
        what that names and the call left open, such as which invoice."""
        for wish in self._wishes.values():
            if wish.key == call.key:
                wish.asked_turn, wish.settled = call.turn, settled

    def done(self, name: str) -> None:
        """This action succeeded: what comes ``after`` it may run from now on."""
        self._done.add(name)

    def failed(self, call_id: str) -> None:
        """It ended without an answer: whether it was done is unknown. Asked for again, in this
        turn or a later one, it carries the same key, so that the service can tell."""
        for wish in self._wishes.values():
            if wish.ran_as == call_id:
                wish.in_doubt = True

    def _judge(self, call: ActionCall, arguments: str, words: str) -> Judged:
        try:
            parsed = read_json(arguments or "{}", MAX_ARGUMENT_CHARS)
        except ValueError as error:
            return Judged(call, "bad_arguments", f"{self._texts['arguments']} ({error})")
        call, texts = replace(call, arguments=parsed), self._texts
        if call.name == SEARCH_TOOL:
            query = parsed.get("query")
            if isinstance(query, str) and query.strip():
                return Judged(call, "run")
            return Judged(call, "bad_arguments", texts["arguments"])
        if call.name not in self.actions:
            return Judged(call, "unknown", texts["unknown"])
        before = self.actions[call.name].after
        if before is not None and before not in self._done:
            return Judged(call, "too_early", texts["too_early"].format(before))
        plain = {name: value for name, value in parsed.items() if name != CONFIRMED}
        if missing := [name for name in self.actions[call.name].secrets if name not in plain]:
            return Judged(call, "bad_arguments", texts["ask_secret"].format(", ".join(missing)))
        fault = best_match(self._schemas[call.name].iter_errors(plain))
        if fault is not None:
            place = ".".join(str(part) for part in fault.absolute_path)
            found = clean_text(f"{place}: {fault.message}" if place else fault.message, 200)
            return Judged(call, "bad_arguments", f"{texts['arguments']} ({found})")
        if misheard := self._judge_identifiers(call, plain, words):
            return Judged(call, "bad_arguments", misheard)
        return self._judge_wish(call, plain, words)

    def _judge_identifiers(self, call: ActionCall, plain: Json, words: str) -> str:
        """What to ask the caller where an identifier's check digits do not hold; '' where all do.

        A value that was proposed counts from the next turn on, unless that says no.
        """
        action = self.actions[call.name]
        for name, value in plain.items():
            schema = action.parameters.get("properties", {}).get(name)
            kind = schema.get("format") if isinstance(schema, dict) else None
            if kind not in KINDS or not isinstance(value, str):
                continue
            checked = check_identifier(kind, value)
            if not checked.is_valid:
                if checked.proposal and name not in action.secrets:
                    self._proposed.setdefault(checked.proposal, call.turn)
                return _ask_again(self._texts, name, checked, tells=name not in action.secrets)
            proposed = self._proposed.get(checked.value)
            if proposed == call.turn:
                return self._texts["proposed"].format(name, checked.value)
            if proposed is not None and read_consent(words, action.description) == "no":
                return self._texts["say_again"].format(name)
        return ""

    def _judge_wish(self, call: ActionCall, plain: Json, words: str) -> Judged:
        action = self.actions[call.name]
        what = f"{call.name} {json.dumps(plain, sort_keys=True, ensure_ascii=False)}"
        wish = self._wishes.get(what)
        if wish is not None and wish.ran_as and wish.ran_turn == call.turn and not wish.in_doubt:
            return Judged(replace(call, key=wish.key), "repeated", "", wish.ran_as)
        if wish is None or (wish.ran_as and not wish.in_doubt):
            whose = f"{self._session_id} {call.turn} {what}"
            key = hashlib.sha256(whose.encode()).hexdigest()[:32]
            wish = self._wishes[what] = _Wish(key)
        call = replace(call, key=wish.key)
        if action.confirm and not wish.ran_as:
            consent = read_consent(words, f"{call.name} {action.description}")
            asked = call.turn if wish.asked_turn is None else wish.asked_turn
            recent = 0 < call.turn - asked <= CONSENT_TURNS
            if not recent or consent != "yes":
                # With a preview it counts once there is something to ask: see `asked`.
                wish.asked_turn = call.turn if action.preview is None else None
                message = self._texts["declined" if consent == "no" else "ask_first"]
                return Judged(call, "confirm_first", message)
        wish.ran_as, wish.ran_turn, wish.in_doubt = call.call_id, call.turn, False
        return Judged(replace(call, arguments={**call.arguments, **wish.settled}), "run")


def _ask_again(texts: Mapping[str, str], name: str, checked: Checked, *, tells: bool) -> str:
    """What the speaker is told of an identifier that does not hold, with its digits if it
    ``tells``."""
    if checked.too_short or checked.too_long:
        which = "too_short" if checked.too_short else "too_long"
        return texts[which].format(name, checked.too_short or checked.too_long)
    if checked.proposal and tells:
        return texts["proposed"].format(name, checked.proposal)
    if places := checked.doubtful:
        return texts["doubtful"].format(name, ", ".join(map(str, places)))
    return texts["say_again"].format(name)


Consent = Literal["yes", "no", "unclear"]

_YES = read_words("yes")
_NO = read_words("no")
_BESIDE = read_words("beside_yes")
_ENCLITICS = ("", "lo", "la", "los", "las", "le", "me", "melo", "mela", "selo", "sela")
"""Pronouns at the end of an imperative: ``prográmemelo``."""


def read_consent(words: str, about: str) -> Consent:
    """Read an answer to "may I?": strict, for money may hang on it.

    A yes is words that agree and nothing else, except words of the action itself ("sí, programa el
    pago"), which ``about`` has: its name and description. What is neither is asked again.
    """
    if "?" in words or "¿" in words:
        return "unclear"
    words = words.lower().replace("'", "").replace("’", "").replace("desde luego", "sí")
    said = [fold_accents(word) for _, word in cut_words(words)]
    about = about.lower().replace("_", " ")
    own = {key_of(fold_accents(word), "es") for _, word in cut_words(about)}
    plain = [word for word in said if word in _YES or not _is_of(word, own)]
    if any(word in _NO for word in plain) or "no" in said or "not" in said:
        return "no"
    if any(word in _YES for word in said) and all(w in _YES or w in _BESIDE for w in plain):
        return "yes"
    return "unclear"


def _is_of(word: str, own: set[str]) -> bool:
    return any(key_of(word.removesuffix(each), "es") in own for each in _ENCLITICS)
