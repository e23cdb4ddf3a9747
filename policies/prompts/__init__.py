"""The prompts: files with a version. What a model is told is data of the release, pinned by the manifest.

A text that changes gets a new version: `released.json` says what each version was, and a law compares.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from refunds.canonical import sha256

PromptName = Literal["plan", "draft", "read", "cite", "critique", "summarize"]
PROMPTS: tuple[PromptName, ...] = get_args(PromptName)
NEEDED: frozenset[PromptName] = frozenset({"plan", "draft"})
"""What an agent that is a model cannot do without; without a second reader the trained one reads alone."""

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is told about its work; what it works on comes apart from it, as data."""

    name: PromptName
    version: str
    text: str

    @property
    def sha256(self) -> str:
        return sha256(self.text)


@cache
def prompt(name: PromptName, version: str) -> Prompt:
    """A prompt in one of its versions. Raises FileNotFoundError."""
    return Prompt(name, version, (FOLDER / f"{name}-{version}.md").read_text(encoding="utf-8"))


def released() -> dict[str, str]:
    """The hash that each version had when it was released, as `plan-1`."""
    found: dict[str, str] = json.loads((FOLDER / "released.json").read_text(encoding="utf-8"))
    return found
