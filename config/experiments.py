"""``experiments``: what is tried on a share of the calls, and by what it is judged."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.modes import ModeName
from penny.section import Section, key_error


Metric = Literal[
    "resolution", "escalation", "sentiment", "quality", "alerts", "interruptions", "duration",
    "latency", "cost",
]  # fmt: skip
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]


class ArmSection(Section):
    """``experiments.NAME.arms.ARM``: what is otherwise in it; null is as elsewhere."""

    weight: int = Field(1, ge=0, le=1000, description="its share of the callers, among the arms")
    mode: ModeName | None = Field(None, description="the mode of callers who name none")
    instructions: str | None = Field(None, max_length=20_000, description="system prompt")
    voice: str | None = Field(None, max_length=64, description="of the speaker")
    model: str | None = Field(None, max_length=128, description="EXTERNAL: of the speaker")
    cerebro_model: str | None = Field(None, max_length=128, description="EXTERNAL: of the brain")
    placement: Literal["append", "rewrite"] | None = Field(
        None, description="EXTERNAL: how a folio reaches the speaker"
    )

    @property
    def changes(self) -> dict[str, str]:
        """The keys that are set, without the weight."""
        return self.model_dump(exclude={"weight"}, exclude_none=True)


class ExperimentSection(Section):
    """``experiments.NAME``: its first arm is what the others are compared with."""

    enabled: bool = Field(True, description="whether calls take part")
    metric: Metric = Field(description="what decides, declared before the first call")
    unit: Literal["caller", "call"] = Field(
        "caller", description="who keeps an arm; a caller that is not known counts by the call"
    )
    min_n: int = Field(100, ge=30, description="units of each arm before anything is concluded")
    alpha: float = Field(
        0.05, gt=0, le=0.2, description="how often a difference may be seen where there is none"
    )
    tenants: tuple[str, ...] = Field((), description="whose calls take part; none named is all")
    arms: dict[Name, ArmSection] = Field(description="two or more, the first is the control")

    @model_validator(mode="after")
    def _arms_differ(self) -> Self:
        if len(self.arms) < 2:
            raise key_error("arms", "an experiment compares two arms or more")
        if sum(arm.weight > 0 for arm in self.arms.values()) < 2:
            raise key_error("arms", "two arms or more need a weight above 0")
        seen = [arm.changes for arm in self.arms.values()]
        if any(changes in seen[:at] for at, changes in enumerate(seen)):
            raise key_error("arms", "two arms change the same: give each one of its own")
        return self

    @property
    def keys(self) -> frozenset[str]:
        """What it changes: ``voice``, ``mode`` …"""
        return frozenset(key for arm in self.arms.values() for key in arm.changes)

    @property
    def phase(self) -> str:
        """Of all that its figures hang on: another weight or arm begins another phase."""
        told = self.model_dump(mode="json", exclude={"enabled", "min_n", "alpha"})
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def find_clash(experiments: dict[str, ExperimentSection]) -> tuple[str, str, str] | None:
    """Two enabled experiments that change the same thing, and what."""
    taken: dict[str, str] = {}
    for name, each in experiments.items():
        for key in sorted(each.keys) if each.enabled else ():
            if key in taken:
                return taken[key], name, key
            taken[key] = name
    return None
