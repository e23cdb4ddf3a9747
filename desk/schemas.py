"""The shapes of the desk's API: what comes in is strict, what goes out is what the books hold."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from refunds.vocabulary import (
    Asked,
    AskKind,
    Audience,
    Authority,
    CaseStatus,
    Cause,
    FoundRefundAct,
    Intent,
    MoneyWish,
    ProviderAct,
    RejectCode,
    ReturnCondition,
    Role,
    Scope,
    SecondVerdict,
    TakeoverAct,
    VoteWord,
)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Minor = Annotated[int, Field(ge=0, le=1_000_000_000_000, description="minor units of the currency")]


class Strict(BaseModel):
    """A body: unknown keys and wrong types are refused by name."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CasesQuery(BaseModel):
    """Which cases are asked for; what is not said asks for all that wait for a person."""

    model_config = ConfigDict(frozen=True)

    every: bool = Field(default=False, description="also cases that wait for nobody")
    status: CaseStatus | None = None
    tenant: str | None = None
    most: int = Field(default=50, ge=1, le=500, description="of each tenant")
    skip: int = Field(default=0, ge=0, le=1_000_000)
    search: str | None = Field(default=None, max_length=200)
    least_minor: Minor | None = None
    most_minor: Minor | None = None
    older_hours: int | None = Field(default=None, ge=0, le=87_600)
    reason: str | None = Field(default=None, max_length=200)
    intent: Intent | None = None
    mine: bool = Field(default=False, description="claimed by me, or handed to me")


class LineUnits(Strict):
    """So many of a line of the order."""

    line_id: str = Field(min_length=1, max_length=128)
    quantity: int = Field(ge=1, le=10_000)


class AskBody(Strict):
    """One thing that a customer asks, as a person reads it."""

    ask: AskKind
    money: MoneyWish = Field(default="open", description="wanted or refused with a refund or a cancellation")
    order_id: str | None = Field(default=None, max_length=128)
    lines: list[LineUnits] | None = Field(
        default=None, max_length=100, description="none is all of the order; an empty list asks the customer"
    )
    cause: Cause | None = None
    conditions: bool = False


class ReadingBody(Strict):
    """What a customer asks, as a person reads it; the case runs again by it."""

    asks: list[AskBody] = Field(min_length=1, max_length=8)
    urgent: bool = False


class DecisionBody(Strict):
    """A person's word on what was on their screen."""

    word: VoteWord
    digest: Sha256
    code: RejectCode | None = None
    amount_minor: Minor | None = Field(
        default=None, description="on a revise; 0 is the reply without the refund"
    )
    asks: Asked | None = Field(
        default=None, description="on a revise: who is asked; the note is the question"
    )
    lines: list[LineUnits] | None = Field(
        default=None, max_length=100, description="on a revise: how many of which lines it is for"
    )
    reply: str | None = Field(
        default=None, max_length=6_000, description="on a revise: the reply as it shall be"
    )
    letter: str | None = Field(
        default=None, max_length=6_000, description="on a reject: what the customer is told instead"
    )
    reading: ReadingBody | None = Field(default=None, description="on a revise: what the customer asks")
    note: str | None = Field(default=None, max_length=2_000)


class AssignmentBody(Strict):
    """For whom a case is from now on: a person or a team, one of the two."""

    to_person: str | None = Field(default=None, max_length=128)
    to_role: Authority | None = None
    note: str = Field(default="", max_length=2_000)


class SecondReviewBody(Strict):
    """What a colleague says of a decided case."""

    verdict: SecondVerdict
    note: str = Field(default="", max_length=2_000)


class ProviderActBody(Strict):
    """What is asked about a disbursement whose outcome is not known."""

    act: ProviderAct
    refund_id: str | None = Field(default=None, min_length=1, max_length=255, pattern=r"^[!-~]+$")
    note: str = Field(default="", max_length=2_000)


class FoundRefundActBody(Strict):
    """What a refund at the provider is that these books do not know."""

    refund_id: str = Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")
    act: FoundRefundAct
    note: str = Field(default="", max_length=2_000)


class ServerAnswer(Strict):
    """An answer that came in on the graph's server API."""

    thread_id: str
    word: VoteWord
    digest: Sha256 | None = None
    code: RejectCode | None = None
    note: str | None = Field(default=None, max_length=2_000)


class UnreadAnswer(Strict):
    """An answer on the server API that could not be read, and why."""

    thread_id: str
    why: str = Field(min_length=1, max_length=300)


class TakeoverBody(Strict):
    """What a person does with a hand-over."""

    act: TakeoverAct
    reply: str = Field(default="", max_length=8_000)
    amount_minor: Minor | None = None
    note: str = Field(default="", max_length=2_000)
    digest: str | None = None
    """Of the proposal on the screen; needed where a refund is to stand in its place."""


class MessageBody(Strict):
    """What a customer or a colleague adds; the same `message_id` again changes nothing."""

    text: str = Field(max_length=8_000)
    author: Asked = "customer"
    message_id: str | None = Field(default=None, pattern=r"^[0-9a-fA-F-]{32,36}$")


class ArrivalBody(Strict):
    """Goods that came back and how; the same `arrival_id` again changes nothing, so that a request can be repeated."""

    lines: list[LineUnits] = Field(min_length=1, max_length=200)
    condition: ReturnCondition
    arrival_id: UUID = Field(strict=False)


class FlagValueBody(Strict):
    """A run-time flag: a step cap, tools by name, or a switch; `off` takes it away."""

    value: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=500)
    tenant: str = "*"


class FlagBody(Strict):
    """The kill switch."""

    on: bool
    reason: str = Field(min_length=1, max_length=500)
    tenant: str = "*"


class Failure(BaseModel):
    """Why a request was refused."""

    detail: str
    case: str | None = Field(default=None, description="the case's page, where the answer is about one")


class Me(BaseModel):
    """Who a token speaks for."""

    person: str
    name: str
    audience: Audience
    scopes: list[Scope]
    roles: dict[str, list[Role]]
    ceiling_minor: int | None


class Submitted(BaseModel):
    """The case of a ticket."""

    case_id: UUID
    ticket_id: str
    tenant: str


class QueueRow(BaseModel):
    """A case in the queue."""

    tenant: str
    case_id: UUID
    ticket_id: str
    customer_id: str
    order_id: str | None
    intent: str
    received_at: datetime
    status: CaseStatus
    reason: str
    at: datetime
    ended: bool
    kind: str | None
    amount_minor: int | None
    currency: str | None
    expires_at: datetime | None
    owner: str | None
    due_at: datetime
    stage: int | None = Field(default=None, description="0 to decide, 1 to take up, 2 waits for an answer")
    risk: int | None = None
    for_person: str | None = None
    for_role: Authority | None = None


class Queue(BaseModel):
    """A page of the queue."""

    cases: list[QueueRow]


class Event(BaseModel):
    """A point in the timeline of a case."""

    status: CaseStatus
    reason: str
    at: datetime


class Message(BaseModel):
    """What was added to a case."""

    message_id: UUID
    author: Asked
    body: str
    at: datetime


class SentReply(BaseModel):
    """What the customer was told."""

    outcome: CaseStatus
    message_id: str
    body: str
    written_at: datetime
    attempts: int
    delivered_at: datetime | None


class CaseView(BaseModel):
    """A case as the books hold it: the state of the contract and what lies around it."""

    tenant: str
    case_id: UUID
    thread_id: UUID
    ticket_id: str
    customer_id: str
    order_id: str | None
    question: str
    submitted_by: str
    received_at: datetime
    owner: str | None
    state: dict[str, Any]
    timeline: list[Event]
    messages: list[Message]
    replies: list[SentReply]


class Decided(BaseModel):
    """What came of a word; no decision yet means that more people must agree."""

    case_id: UUID
    word: VoteWord
    decision_id: UUID | None
    more_people: int


class Claimed(BaseModel):
    """A lease on a case."""

    case_id: UUID
    person: str
    ends_at: datetime


class MessageWritten(BaseModel):
    """Whether a message was new, and whose case it is now: another one where the first had ended."""

    case_id: UUID
    message_id: UUID
    new: bool


class ArrivalNoted(BaseModel):
    """Whether an arrival was new."""

    case_id: UUID
    arrival_id: UUID
    new: bool


class Acknowledged(BaseModel):
    """It was done."""

    done: bool = True


class DeadJob(BaseModel):
    """A job that died."""

    id: int
    queue: str
    task: str
    args: dict[str, Any]
    attempts: int
    at: datetime | None
    why: str = Field(description="what it died of, in one line")


class DeadJobs(BaseModel):
    """Jobs that died, the newest first."""

    jobs: list[DeadJob]


class Ledger(BaseModel):
    """Disbursements with their sends and settlements."""

    orders: list[dict[str, Any]]


class FoundRefundList(BaseModel):
    """Refunds at the provider that these books do not know."""

    refunds: list[dict[str, Any]]


class Flags(BaseModel):
    """The flags in force."""

    flags: list[dict[str, Any]]


class Ready(BaseModel):
    """Whether the house works, part by part."""

    ready: bool
    parts: dict[str, str]
