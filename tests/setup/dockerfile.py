"""Dockerfiles as data: stages with their steps, as far as the images of ``deploy/images`` go."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "deploy/images"


@dataclass(slots=True)
class Step:
    """One instruction. ``flags``: what is written in ``--name=value`` before its words."""

    name: str
    text: str
    flags: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """Of the form in JSON, or of the plain one."""
        if self.text.startswith("["):
            return [str(each) for each in json.loads(self.text)]
        return shlex.split(self.text)


@dataclass(slots=True)
class Stage:
    """What follows one FROM."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, name: str) -> Step | None:
        """The last instruction of that name, which is the one that holds."""
        return next((step for step in reversed(self.steps) if step.name == name), None)


def read_dockerfile(path: Path) -> list[Stage]:
    """Its stages, in order. Raises ValueError for an instruction that is none of ours."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stages: list[Stage] = []
    for line in text.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if not name:
            continue
        if name == "FROM":
            base, *alias = rest.split(" AS ")
            stages.append(Stage(base, alias[0] if alias else str(len(stages))))
            continue
        if name not in _KNOWN:
            raise ValueError(f"{path.name}: {name}")
        flags = {}
        while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest.lstrip()):
            flags[match[1]] = match[2]
            rest = rest.lstrip()[match.end() :]
        stages[-1].steps.append(Step(name, rest.strip(), flags))
    return stages


_KNOWN = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "RUN", "USER", "VOLUME"),
    "WORKDIR",
}


def stage_of(path: Path, name: str = "") -> Stage:
    """The stage of that name, else the last; with the steps of the stages that it is made from."""
    stages = {stage.name: stage for stage in read_dockerfile(path)}
    stage = stages[name] if name else list(stages.values())[-1]
    if stage.base in stages:
        below = stage_of(path, stage.base)
        return Stage(below.base, stage.name, [*below.steps, *stage.steps])
    return stage


def pairs(step: Step) -> dict[str, str]:
    """The names and values of an ENV or ARG."""
    return dict(word.partition("=")[::2] for word in step.words)
