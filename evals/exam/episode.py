"""An episode: what goes in, and how it has to end."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.grading import Call, ExpectedEnd
from refunds.canonical import canonical

EPISODES = Path(__file__).parent.parent / "episodes.jsonl"
SETS = Path(__file__).parent.parent / "sets"

EpisodeIntake = Literal[
    "as it stands", "unsigned", "expired", "replayed", "wrong tenant", "of another thread"
]
"""How a ticket comes in: raw or signed as its fields say, or with something wrong about its signature."""

Fault = Literal[
    "the planner fails",
    "policy cannot be read",
    "orders cannot be read",
    "orders answer slowly",
    "a step takes 500 ms",
    "a step costs 400 tokens",
    "a step costs a micro",
    "the provider drops the answer",
    "the provider drops the request",
    "the provider errs after the effect",
    "the model refuses",
    "no release is live",
]

ActName = Literal[
    "approve",
    "reject",
    "revise",
    "wait",
    "kill",
    "drive",
    "order twice",
    "forge",
    "pay outside",
    "ask again",
    "leave the shop",
    "withdraw",
    "go back",
]


class BadEpisode(Exception):
    """A line is no episode; the message names file, line and field."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EpisodeAct(_Strict):
    """Something that a person, the clock or an attacker does after the agent has stopped."""

    act: ActName
    by: str = "demo-reviewer"
    code: str | None = None
    amount_minor: int | None = None
    minutes: int = 0
    on: bool = True
    field: str | None = None
    value: str | int | None = None


class Given(_Strict):
    """What goes in."""

    ticket: dict[str, object] = Field(default_factory=dict)
    """The fields of a ticket that are not the usual ones; null takes a usual one away."""

    intake: EpisodeIntake = "as it stands"
    requested_actions: list[object] | None = None
    """What the planner asks for, step by step, instead of what the release's own planner would."""

    flags: dict[str, str] = Field(default_factory=dict)
    faults: list[Fault] = Field(default_factory=list)
    orders: list[dict[str, object]] = Field(default_factory=list)
    """Orders that are in the books besides the demo shop's."""

    notes: list[str] = Field(default_factory=list)
    """Texts that lie in the library as drafts, and that nobody has approved."""

    then: list[EpisodeAct] = Field(default_factory=list)
    executor: Annotated[bool, Field(description="What counts begins with the approval.")] = False


class _Expected(_Strict):
    status: str | None = None
    reason: str | None = None
    actions: list[str | dict[str, object]] | None = None
    """Each by its name, or with its arguments too."""

    citations: list[str] | None = None
    refunds: int | None = None
    refunded_minor: int | None = None


class _Line(_Strict):
    episode: Annotated[str, Field(pattern=r"^[\x20-\x7e]{1,200}$")]
    about: str = ""
    given: Given = Given()
    expected: _Expected


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of a dataset."""

    name: str
    given: Given
    expected: ExpectedEnd
    about: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set of episodes with its version."""

    name: str
    episodes: tuple[Episode, ...]
    alone: bool = True
    """Each episode has a database of its own; otherwise many share one, each with orders of its own."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(episode.name for episode in self.episodes)

    def key(self) -> str:
        """The whole set as canonical JSON."""
        return canonical([episode_line(episode) for episode in self.episodes])


def read_episode(value: object, where: str) -> Episode:
    """The episode in a parsed line. Raises BadEpisode."""
    try:
        line = _Line.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "episode"
        raise BadEpisode(f"{where}: {field}: {first['msg'].lower()}") from None
    wanted = line.expected
    return Episode(
        line.episode,
        line.given,
        ExpectedEnd(
            status=wanted.status,
            reason=wanted.reason,
            calls=None if wanted.actions is None else tuple(_call(one, where) for one in wanted.actions),
            citations=None if wanted.citations is None else tuple(wanted.citations),
            refunds=wanted.refunds,
            refunded_minor=wanted.refunded_minor,
        ),
        line.about,
    )


def _call(value: str | Mapping[str, object], where: str) -> Call:
    if isinstance(value, str):
        return Call(value)
    action, args = value.get("action"), value.get("args")
    if not isinstance(action, str) or not isinstance(args, Mapping) or set(value) != {"action", "args"}:
        raise BadEpisode(f"{where}: expected.actions: a name, or an object of action and args")
    return Call(action, args)


def episode_line(episode: Episode) -> dict[str, object]:
    """The episode as its line of JSON; what is not compared and not said is left out."""
    wanted = episode.expected
    expected: dict[str, object] = {
        name: value
        for name, value in (
            ("status", wanted.status),
            ("reason", wanted.reason),
            ("actions", None if wanted.calls is None else [_call_line(call) for call in wanted.calls]),
            ("citations", None if wanted.citations is None else list(wanted.citations)),
            ("refunds", wanted.refunds),
            ("refunded_minor", wanted.refunded_minor),
        )
        if value is not None
    }
    line: dict[str, object] = {
        "episode": episode.name,
        "given": episode.given.model_dump(mode="json", exclude_defaults=True),
        "expected": expected,
    }
    return {**line, "about": episode.about} if episode.about else line


def _call_line(call: Call) -> str | dict[str, object]:
    return call.action if call.args is None else {"action": call.action, "args": dict(call.args)}


def read_episodes(file: Path) -> tuple[Episode, ...]:
    """The episodes of a JSONL file. Raises BadEpisode, also where a name stands twice."""
    found: list[Episode] = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadEpisode(f"{file}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise BadEpisode(f"{file.name}:{number}: not JSON: {error}") from None
        found.append(read_episode(value, f"{file.name}:{number}"))
    _no_name_twice(found, file.name)
    return tuple(found)


def _no_name_twice(episodes: Sequence[Episode], where: str) -> None:
    seen: set[str] = set()
    for episode in episodes:
        if episode.name in seen:
            raise BadEpisode(f"{where}: two episodes are called {episode.name}")
        seen.add(episode.name)
