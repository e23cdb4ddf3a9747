"""The summarizer, a model: the older part of a long conversation in a few sentences, kept with what it was made from.

It stands before other models as data beside the newest messages. Nothing is decided by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from graph.model.asking import Asking, call_context
from graph.model.endpoint import ModelQuestion
from graph.model.messages import sections, shortened, without_controls, written_data
from graph.planner import PlanContext
from graph.summarizer import Summarized
from policies.spending import Sum
from refunds.masking import mask

MOST_TOKENS = 1_000
TEXT_SHOWN = 12_000
"""Characters of the older messages that are read."""

SUMMARY_LIMIT = 1_500


class Summary(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    summary: Annotated[str, StringConstraints(min_length=1, max_length=SUMMARY_LIMIT)]


@dataclass(frozen=True)
class ModelSummarizer:
    """Asks a model once; without an answer the older messages are left out, and that is said."""

    asking: Asking

    @property
    def model(self) -> str:
        return self.asking.endpoints[0].name

    async def summarized(self, texts: Sequence[str], plan_context: PlanContext) -> Summarized:
        """What the older messages say; None where nobody says it."""
        said = shortened("\n\n".join(texts), TEXT_SHOWN)
        parts = [said[at : at + PART] for at in range(0, len(said), PART)]
        work = sections(
            **{
                f"messages_{number}": written_data(
                    plan_context.case.case_id, "customer", part, plan_context.known
                )
                for number, part in enumerate(parts, start=1)
            }
        )
        context = call_context(plan_context, "summarize", Sum(), 0)
        question = ModelQuestion(self.asking.prompt.text, work, Summary, MOST_TOKENS)
        asked = await self.asking.ask(context, question, Summary)
        text = (
            mask(without_controls(asked.value.summary), plan_context.known).strip() if asked.value else None
        )
        return Summarized(text or None, asked.spent, asked.findings)


PART = 3_500
"""Characters of a part: none is shortened again."""
