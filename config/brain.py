"""EXTERNAL's part of ``penny.yaml``: ``brain:`` (the brain and how it reaches the speaker),
``speaker:`` (the upstream connection), ``actions:`` and ``costs:``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator, SchemaError
from pydantic import AfterValidator, Field, field_validator, model_validator

from kb.settings import ZoneName
from penny.section import Section, key_error


class Depth(Section):
    """What one ``analysis_depth`` means: wishes, of which each model gets what it takes.

    Latency first: thinking is off where the model allows it (``brain/models.py``).
    """

    model: str | None = Field(None, description="null takes cerebro_model")
    effort: Literal["low", "medium", "high"] | None = Field(
        "low", description="how hard it works; null sends none"
    )
    thinking: Literal["disabled", "default"] = Field(
        "disabled",
        description="disabled where the model allows it; default is the model's own way",
    )
    max_tokens: int = Field(700, ge=100, le=8000, description="longest answer")
    deadline_ms: int = Field(4000, ge=100, description="an analysis later than this is cut")
    passages: int = Field(10, ge=1, le=20, description="passages shown per search")
    searches: int = Field(1, ge=0, le=5, description="rounds of its own searches")

    @field_validator("thinking", mode="before")
    @classmethod
    def _older_word(cls, value: object) -> object:
        return "disabled" if value == "between_tools" else value


class Depths(Section):
    """``brain.depths:``: what each ``analysis_depth`` means."""

    quick: Depth = Field(
        default_factory=lambda: Depth(max_tokens=400, deadline_ms=2500, passages=8, searches=0),
        description="one short call",
    )
    standard: Depth = Field(Depth(), description="one round of its own searches")
    deep: Depth = Field(
        default_factory=lambda: Depth(
            model="claude-sonnet-5-5",
            effort="medium",
            max_tokens=1500,
            deadline_ms=8000,
            passages=12,
            searches=2,
        ),
        description="a stronger model, more of the knowledge base",
    )


class Corrections(Section):
    """``brain.corrections:``: when a spoken mistake is put right, and how often."""

    enabled: bool = Field(True, description="false never corrects the speaker")
    min_severity: Literal["low", "medium", "high"] = Field(
        "medium", description="mistakes below this are only recorded"
    )
    max_per_session: int = Field(8, ge=0, description="then the kill switch falls")


class Breaker(Section):
    """``brain.breaker:``: how long the brain rests after failures in a row."""

    failures: int = Field(3, ge=1, description="failures in a row that open it")
    cooldown_s: float = Field(15.0, gt=0, description="first rest; it doubles each time")
    max_cooldown_s: float = Field(120.0, gt=0, description="longest rest")


class BrainSection(Section):
    """``brain:``: when the brain analyses, how deep, at what cost, and where folios are placed."""

    enabled: bool = Field(True, description="false leaves the speaker alone")
    depth: Literal["quick", "standard", "deep"] = Field(
        "standard", description="analysis_depth of a session that names none"
    )
    update_frequency: Literal["every_turn", "every_n_turns", "on_demand"] = Field(
        "every_turn", description="when it analyses, unless the session says"
    )
    every_n: int = Field(2, ge=1, le=100, description="n of every_n_turns")
    depths: Depths = Field(Depths(), description="what each depth means")
    placement: Literal["auto", "append", "rewrite"] = Field(
        "auto", description="how a folio reaches the speaker; auto takes the cheaper"
    )
    folio_turns: int = Field(3, ge=1, description="a folio is in force for so many turns")
    facts_budget_ms: int = Field(
        60, ge=0, le=1000, description="wait for same-turn facts; 0 turns them off"
    )
    facts_passages: int = Field(1, ge=1, le=5, description="passages given per turn")
    partial_words: int = Field(8, ge=1, description="a turn this long may be analysed early")
    partial_debounce_ms: int = Field(
        400, ge=0, description="pause in a turn after which it is analysed early"
    )
    budget_usd: float = Field(0.25, ge=0, description="most a session's brain may cost")
    timezone: ZoneName = Field("Europe/Madrid", description="whose day and hour the brain goes by")
    corrections: Corrections = Field(Corrections(), description="putting spoken mistakes right")
    breaker: Breaker = Field(Breaker(), description="rest after failures in a row")


class SpeakerSection(Section):
    """``speaker:``: the connection to the speech-to-speech vendor of EXTERNAL."""

    transcription_model: str = Field(
        "gpt-realtime-whisper", description="who writes down the caller's words"
    )
    silence_duration_ms: int = Field(500, ge=100, description="silence that ends a turn")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        "minimal", description="of models that reason; null sends none"
    )
    max_age_s: float = Field(
        3000.0, gt=0, description="an upstream this old is replaced when it is quiet"
    )
    reconnect_attempts: int = Field(4, ge=1, description="tries after a drop")
    audio_kept_s: float = Field(
        15.0, gt=0, le=60, description="caller audio kept for the next upstream"
    )
    fallback: bool = Field(
        True, description="whether a dead speaker's session goes on in SELF_HOSTED"
    )


SECRET_FORMATS = frozenset({"card-number", "cvv", "pin"})
"""``format`` of an argument that is said and never kept."""


class Action(Section):
    """One thing that can be done in the caller's name.

    An argument whose ``format`` is one of ``SECRET_FORMATS`` is kept nowhere: while it is asked for
    the recording is paused.
    """

    description: str = Field(min_length=1, max_length=1000, description="for the speaker")
    parameters: dict[str, Any] = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        description="JSON Schema of its arguments; format card-number, cvv or pin: never kept; "
        "dni, nie, iban, postal-code-es and card-number: asked back where they do not hold",
    )
    endpoint: str | None = Field(None, description="URL that is sent a POST")
    private_network: bool = Field(
        False, description="whether the endpoint's name leads into your own network"
    )
    callable: str | None = Field(None, description="module:function, sync or async")
    handoff: str | None = Field(None, description="destination: hands over to a person")
    recording: Literal["pause", "resume", "stop"] | None = Field(
        None,
        description="of this call: pause keeps silence and no digit until resume; stop keeps "
        "nothing more, as the caller agrees no longer",
    )
    timeout_s: float = Field(10.0, gt=0, le=300, description="then it has failed")
    confirm: bool = Field(False, description="whether the caller must say yes first")
    after: str | None = Field(
        None,
        description="action that must have been done in the same session before, such as sending "
        "the document that the caller is to agree to",
    )
    preview: str | None = Field(
        None,
        description="URL that is sent the same before a `confirm`: it answers the `question` to "
        "ask and the `arguments` it names, or why it cannot be done",
    )
    phrases: tuple[str, ...] = Field(
        (),
        description="how callers ask for it, for engines that go by words; one that begins with "
        "`y` or `and` asks for more of what an action just told",
    )

    @property
    def secrets(self) -> list[str]:
        """The arguments that are never kept."""
        properties: dict[str, Any] = self.parameters.get("properties") or {}
        return [
            name
            for name, schema in properties.items()
            if isinstance(schema, dict) and schema.get("format") in SECRET_FORMATS
        ]

    @model_validator(mode="after")
    def _does_exactly_one_thing(self) -> Action:
        ways = [self.endpoint, self.callable, self.handoff, self.recording]
        if sum(way is not None for way in ways) != 1:
            raise key_error(
                "endpoint", "give exactly one of endpoint, callable, handoff, recording"
            )
        for key in ("endpoint", "preview"):
            if not (getattr(self, key) or "https://").startswith(("http://", "https://")):
                raise key_error(key, "an address starts with http:// or https://")
        if self.preview is not None and (self.endpoint is None or not self.confirm):
            raise key_error("preview", "goes with an endpoint and confirm: true")
        if self.callable is not None and ":" not in self.callable:
            raise key_error("callable", "write module:function")
        if self.parameters.get("type") != "object":
            raise key_error("parameters", 'the schema of arguments has "type": "object"')
        try:
            Draft202012Validator.check_schema(self.parameters)
        except SchemaError as error:
            raise key_error("parameters", f"is no JSON Schema: {error.message[:200]}") from None
        return self


def _check_function_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise ValueError("an action is offered as a function: 1 to 64 of A-Z, a-z, 0-9, _ and -")
    if name == "search_knowledge":
        raise ValueError("that is the name of Penny's own search")
    return name


FunctionName = Annotated[str, AfterValidator(_check_function_name)]


class ActionsSection(Section):
    """``actions:``: what sessions may ask the operator's systems to do, and what fills the wait."""

    table: dict[FunctionName, Action] = Field(
        default_factory=dict, description="actions by the name that sessions use"
    )
    offered: tuple[FunctionName, ...] = Field(
        (), description="actions of a session that names none in context.available_actions"
    )
    sample: bool = Field(
        False,
        description="the sample company's actions, with its service on this machine; `make run` "
        "sets it, and a table of your own ends it",
    )
    reply_after_ms: int = Field(
        4000, ge=100, description="then the speaker goes on and the result comes later"
    )
    filler_after_ms: int = Field(1500, ge=100, description="silence before a filler is spoken")
    handoff_ends_session: bool = Field(
        True, description="whether a hand-off to a person ends it after the goodbye"
    )
    fillers_es: tuple[str, ...] = Field(
        (
            "Un momento, lo estoy consultando.",
            "Sigo en ello, enseguida se lo digo.",
            "Ya casi lo tengo, deme un segundo.",
            "Todavía lo estoy mirando, gracias por esperar.",
        ),
        description="Spanish fillers, none twice in a session",
    )
    fillers_en: tuple[str, ...] = Field(
        (
            "One moment, I'm looking it up.",
            "Still on it, I'll tell you right away.",
            "Almost there, just a second.",
            "Still checking, thank you for waiting.",
        ),
        description="English fillers, none twice in a session",
    )

    @model_validator(mode="after")
    def _what_comes_before_is_declared(self) -> ActionsSection:
        for name, action in self.table.items():
            if action.after is not None and (
                action.after == name or action.after not in self.table
            ):
                raise key_error(f"table.{name}.after", "name another action of actions.table")
        return self


class CostsSection(Section):
    """``costs:``: the ceiling of what one session may cost."""

    session_limit_usd: float | None = Field(
        2.0, gt=0, description="ceiling of a session; null has none"
    )
    warn_at: float = Field(0.8, gt=0, le=1, description="share of it that earns a warning")
