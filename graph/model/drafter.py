"""The drafter that is a model: it writes around what code has decided. Kind, amount and payee are not its to choose,
and the sentences that say them are not its to write."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from graph.drafter import Draft, Worded
from graph.model.asking import Asking, ModelResult, call_context
from graph.model.critic import ModelCritic
from graph.model.endpoint import ModelQuestion
from graph.model.messages import as_data, fenced, last_answer, sections, since, written_data
from graph.model.moderation import Moderator
from graph.model.partial import reply_so_far
from graph.planner import PlanContext
from policies.free_words import MARK, FreeFacts, placed, wrong_around
from policies.spending import Sum
from refunds.finding import Finding
from refunds.masking import mask
from refunds.vocabulary import HandoffReason

MOST_TOKENS = 2_500
"""Of an answer, what a model thinks before it included."""

OnWords = Callable[[str], Awaitable[None]]


class Reply(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reply: str


@dataclass(frozen=True, slots=True)
class DecidedLetter:
    """A letter of code as what a model writes around: its paragraphs, without greeting and end."""

    paragraphs: tuple[str, ...]
    sign_off: str

    @classmethod
    def of(cls, draft: Draft) -> "DecidedLetter":
        _greeting, *paragraphs, sign_off = (
            draft.text.split("\n\n") if draft.text.count("\n\n") > 1 else ("", "")
        )
        return cls(tuple(paragraphs), sign_off)

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs)

    def has(self, marks: Sequence[int]) -> bool:
        """Whether there is a paragraph for each of these marks."""
        return all(1 <= mark <= len(self.paragraphs) for mark in marks)


@dataclass(slots=True)
class Attempt:
    """What came of asking so far."""

    began: float
    spent: Sum = field(default_factory=Sum)
    findings: list[Finding] = field(default_factory=list)
    wrong: str = ""
    """Why the last answer could not be used."""

    checked: bool = False
    """Whether an answer came that could be checked."""

    @property
    def took_ms(self) -> int:
        return since(self.began)

    def ended(self, text: str | None, handoff: HandoffReason | None = None) -> Worded:
        return Worded(text, self.spent.tokens, self.spent.cost_micros, tuple(self.findings), handoff)


@dataclass(frozen=True)
class ModelDrafter:
    """Asks a model for the words around what is decided, checks every one, and asks once more where one is wrong."""

    asking: Asking
    moderator: Moderator
    critic: ModelCritic | None = None
    """Reads what passed the checks beside the decision and the asks."""

    async def word(self, draft: Draft, asked_by: str, plan_context: PlanContext, watch: OnWords) -> Worded:
        """The draft in a model's words. What it cannot say rightly is handed over, never sent."""
        decided = DecidedLetter.of(draft)
        if plan_context.order is None or not decided.paragraphs:
            return Worded(None)
        facts = FreeFacts(
            len(decided.paragraphs),
            plan_context.language,
            tuple(line.name for line in plan_context.order.lines),
            plan_context.known,
        )
        attempt = Attempt(time.monotonic())
        for _ in range(2):
            asked = await self._ask(decided, asked_by, plan_context, attempt, watch)
            attempt.spent += asked.spent
            attempt.findings += asked.findings
            if asked.reason is not None:
                return attempt.ended(None, asked.reason)
            if asked.value is None:
                if not asked.words:
                    break
                attempt.findings.append(Finding("invalid_answer", f"draft: {asked.outcome}"))
                attempt.wrong = asked.words
                continue
            attempt.checked = True
            reply = await self._checked(asked.value.reply, decided, facts, asked_by, plan_context, attempt)
            if reply is not None:
                return attempt.ended(reply)
        if attempt.checked:
            return attempt.ended(None, "draft_failed_checks")
        attempt.findings.append(Finding("without_model", "drafted by rule"))
        return attempt.ended(None)

    async def _checked(
        self,
        said: str,
        decided: DecidedLetter,
        facts: FreeFacts,
        asked_by: str,
        plan_context: PlanContext,
        attempt: Attempt,
    ) -> str | None:
        """The letter that was made of a reply; None where it may not be sent, and why in the attempt."""
        known = plan_context.known
        attempt.wrong = wrong_around(said, facts) or ""
        if attempt.wrong:
            attempt.findings.append(Finding("failed_check", mask(attempt.wrong, known)))
            return None
        moderated = await self.moderator.wrong_with(mask(MARK.sub(" ", said), known))
        if moderated is not None:
            attempt.wrong = f"the reply is not fit to be sent: {moderated}"
            attempt.findings += [Finding("moderated", moderated), Finding("failed_check", attempt.wrong)]
            return None
        letter = placed(said, decided.paragraphs)
        if self.critic is None:
            return letter
        criticised = await self.critic.criticised(
            letter, decided.text, asked_by, plan_context.asks, plan_context, attempt.spent, attempt.took_ms
        )
        attempt.spent += criticised.spent
        attempt.findings += criticised.findings
        if criticised.wrong is None:
            return letter
        attempt.wrong = f"a critic says: {criticised.wrong}"
        attempt.findings += [
            Finding("criticised", mask(criticised.wrong, known)),
            Finding("stopped_draft", mask(said, known)),
        ]
        return None

    async def _ask(
        self,
        decided: DecidedLetter,
        asked_by: str,
        plan_context: PlanContext,
        attempt: Attempt,
        watch: OnWords,
    ) -> ModelResult[Reply]:
        context = call_context(plan_context, "draft", attempt.spent, attempt.took_ms)
        work = _work(decided, asked_by, plan_context, attempt.wrong)
        question = ModelQuestion(self.asking.prompt.text, work, Reply, MOST_TOKENS)

        async def words(text: str) -> None:
            so_far = reply_so_far(text)
            marks = [int(mark) for mark in MARK.findall(so_far)]
            shown = placed(so_far, decided.paragraphs) if decided.has(marks) else so_far
            await watch(mask(shown, plan_context.known))

        return await self.asking.ask(context, question, Reply, words)


def _work(decided: DecidedLetter, asked_by: str, plan_context: PlanContext, wrong: str) -> str:
    case_id, known = plan_context.case.case_id, plan_context.known
    shown = [{"place": f"{{{at}}}", "says": one} for at, one in enumerate(decided.paragraphs, start=1)]
    return sections(
        language=plan_context.language,
        sign_off=decided.sign_off,
        decided=fenced(case_id, "decision", mask(as_data(shown), known)),
        customer=written_data(case_id, "customer", plan_context.conversation or asked_by, known),
        last_answer=last_answer(case_id, wrong, known),
    )
