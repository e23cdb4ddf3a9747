"""Guidelines of a support desk as clauses: an export of flows with their steps, one JSON object a line.

{"flow": "Returns", "subflow": "Stain", "instructions": ["…"], "steps": [{"button", "text", "type", "subtext": ["…"]}]}.
What it instructs staff to do is theirs; what a step states of the policy may be quoted, sentence by sentence.
"""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from policies.audience import is_for_staff

Text = Annotated[str, Field(max_length=4_000)]


class GuidelineStep(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    button: str
    text: Text
    type: str
    subtext: list[Text]


class Guideline(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    flow: Annotated[str, Field(min_length=1, max_length=100)]
    subflow: Annotated[str, Field(min_length=1, max_length=100)]
    instructions: list[Text]
    steps: list[GuidelineStep]

    def lines(self) -> Iterator[dict[str, object]]:
        """The clauses of it, as lines of an export."""
        name = re.sub(r"[^a-z0-9]+", "-", f"{self.flow} {self.subflow}".lower()).strip("-")
        told = [(f"{name}.0.{at}", text, True) for at, text in enumerate(self.instructions, start=1)]
        for number, step in enumerate(self.steps, start=1):
            told += [
                (f"{name}.{number}.{at}", text, is_for_staff(text))
                for at, text in enumerate((step.text, *step.subtext), start=1)
            ]
        for identity, text, for_staff in told:
            if text.strip():
                yield {
                    "id": identity,
                    "section": f"{self.flow}: {self.subflow}",
                    "text": text.strip(),
                    "status": "private" if for_staff else "approved",
                }
