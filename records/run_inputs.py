"""What a run of the agent starts from, read in one statement: the order's place and day, what was said since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from records.books import Reads
from records.cases import Case
from records.orders import customer_orders_of
from records.readings import reading_in
from records.takeovers import Takeover
from refunds.ids import OrderId, PaymentId, PersonId
from refunds.money import Currency, Money
from refunds.order import CustomerOrder
from refunds.reading import TicketReading


@dataclass(frozen=True, slots=True)
class RunInput:
    """Region and day are of the case's order, where its customer has one of that name."""

    region: str | None
    ordered_at: datetime | None
    now: datetime
    answers: tuple[str, ...]
    """What the customer wrote after the ticket, in order."""

    written: Takeover | None
    """What a person wants proposed and nothing was proposed for since."""

    flags: tuple[tuple[str, str], ...] = ()
    """The run-time flags in force but the kill switch: names and values, of the tenant and of everybody."""

    run: int = 1
    """The number of the run that begins."""

    customer: Mapping[str, str | None] = field(default_factory=dict)
    """What the books know of the customer, by what it is: name, address, email."""

    language: str | None = None
    """The language in which the customer is written to, where the books say."""

    orders: tuple[CustomerOrder, ...] = ()
    """The customer's newest orders, against which their words are read."""

    corrected: TicketReading | None = None
    """What a person read, where the customer has written nothing since."""

    edits_void: bool = False
    """Whether that is newer than whatever amount or units a person has set: those were of another reading."""


async def run_input_of(reads: Reads, case: Case) -> RunInput:
    """The beginning of a run; tx is in the tenant and the customer of the case."""
    row = await reads.row(
        "beginning", case_id=case.case_id, order_id=case.order_id, customer_id=case.customer_id
    )
    if row is None:
        raise LookupError(f"no case {case.case_id}")
    written = None
    flags = tuple((str(name), str(value)) for name, value in row["flags"])
    if row["person"] is not None:
        written = Takeover(
            person=PersonId(row["person"]),
            act="propose",
            reply=row["reply"],
            order_id=OrderId(row["takeover_order_id"]),
            payment_id=PaymentId(row["payment_id"]),
            amount=Money(row["amount_minor"], Currency(row["currency"])),
        )
    return RunInput(
        region=row["region"],
        ordered_at=row["ordered_at"],
        now=row["now"],
        answers=tuple(row["answers"]),
        written=written,
        flags=flags,
        run=row["run"],
        customer={kind: row[f"customer_{kind}"] for kind in ("name", "address", "email")},
        language=row["language"],
        orders=customer_orders_of(row["customer_orders"]),
        corrected=reading_in(row["corrected"]),
        edits_void=row["corrected"] is not None and bool(row["corrected_after_edits"]),
    )
