"""Held approvals: a key that was pressed by accident is taken back before it counts.

For a few seconds an approval at the page is a row that says who approves what, and no vote: nothing is signed, nothing
is ordered. Then it is given, by the same check as every other; or it was taken back, or refused by then.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from desk.catalogue import _
from desk.decisions import Conflict, DecisionRequest, Desk, NothingToDecide, claimed_by
from desk.notes import BadDecision, check_note
from desk.people import NoAuthority, Person, person_at_page
from records.books import Books, BooksAway, Refused, Row, Transaction
from refunds.ids import CaseId, PersonId, TenantId

log = logging.getLogger("countersign.desk")

LATE = timedelta(minutes=2)
"""A desk that was away for longer gives nothing: others may have worked on the case, and its person has gone on."""


@dataclass(frozen=True, slots=True)
class HeldApproval:
    """An approval that is held, or what became of the last one of a case."""

    held_id: UUID
    person: PersonId
    digest: str
    due_at: datetime
    now: datetime
    word: str | None
    why: str

    @property
    def seconds(self) -> int:
        """Until it is given; zero where it has an end."""
        return 0 if self.word else max(0, round((self.due_at - self.now).total_seconds()))

    @classmethod
    def of(cls, row: Row) -> "HeldApproval":
        return cls(
            row["held_id"],
            PersonId(row["person"]),
            row["digest"],
            row["due_at"],
            row["now"],
            row["word"],
            row["why"] or "",
        )


@dataclass(frozen=True, slots=True)
class HeldApprovals:
    """Those of this desk."""

    books: Books
    desk: Desk
    seconds: int
    """How long one is held; none at zero."""

    async def hold(self, person: Person, tenant: TenantId, case_id: CaseId, digest: str, note: str) -> None:
        """Hold a person's approval. Raises what giving it would raise now."""
        check_note(note)
        await self.desk.check_approval(person, tenant, case_id, digest)
        async with self.books.transaction(tenant) as tx:
            await tx.rows("hold_case", tenant=tenant, case_id=case_id)
            claim = await tx.row("claim_of", case_id=case_id)
            if claim is not None and claim["person"] != person.person:
                raise Conflict(claimed_by(claim))
            held = await tx.row(
                "hold_approval",
                held_id=uuid4(),
                case_id=case_id,
                digest=digest,
                person=person.person,
                note=note,
                seconds=self.seconds,
                address=person.address,
            )
            if held is None:
                raise Conflict(_("an approval of this case is under way"))
            # The case is its person's until it is given: nobody else works on it meanwhile.
            tx.later("insert_claim", case_id=case_id, person=person.person, minutes=self.seconds // 60 + 2)

    async def take_back(self, person: Person, tenant: TenantId, case_id: CaseId) -> None:
        """Take one's own approval back. Conflict where it has been given by now."""
        async with self.books.transaction(tenant) as tx:
            await tx.rows("hold_case", tenant=tenant, case_id=case_id)
            row = await tx.row("held_of_case", case_id=case_id)
            if row is None or row["person"] != person.person:
                raise NothingToDecide(_("no approval of yours is held here"))
            if not row["held"] or not await tx.row(
                "end_held", held_id=row["held_id"], word="taken_back", why=""
            ):
                raise Conflict(_("too late: it has been given, and what follows from it is under way"))
            tx.later("insert_claim", case_id=case_id, person=person.person, minutes=0)

    async def sweep(self) -> int:
        """Give what is due; how many."""
        given = 0
        for tenant in await self.books.tenants():
            for row in await self.books.reading(tenant).rows("held_and_due"):
                try:
                    given += await self._give(tenant, row)
                except BooksAway as away:
                    log.warning("an approval that is due waits for its case: %s", type(away).__name__)
        return given

    async def _give(self, tenant: TenantId, row: Row) -> bool:
        held_id, case_id = row["held_id"], CaseId(row["case_id"])

        async def ended(tx: Transaction) -> None:
            # In the decision's own transaction: it is taken back or given, and never both.
            if await tx.row("written_after", case_id=case_id, since=row["held_at"]):
                raise Conflict(_("the customer has written since it was pressed: look again"))
            if not await tx.row("end_held", held_id=held_id, word="given", why=""):
                raise Conflict(_("it was taken back"))

        try:
            if row["late"] > LATE:
                raise Conflict(_("the desk was away when it was due: look again"))
            person = await self._person(row)
            word = DecisionRequest("approve", note=row["note"] or None)
            await self.desk.decide(person, tenant, case_id, row["digest"], word, last_check=ended)
        except (NoAuthority, Conflict, NothingToDecide, BadDecision, Refused) as refusal:
            async with self.books.transaction(tenant) as tx:
                await tx.rows("end_held", held_id=held_id, word="refused", why=str(refusal)[:500])
            log.info("an approval that was held is refused: %s", type(refusal).__name__)
            return False
        return True

    async def _person(self, row: Row) -> Person:
        """The person with the roles that they have now. NoAuthority where they have left."""
        async with self.books.transaction() as tx:
            rows = await tx.rows("person_now", person=row["person"])
        if not rows:
            raise NoAuthority(_("%(person)s is not there any more", person=row["person"]))
        return person_at_page(rows, row["address"])


async def held_of(books: Books, tenant: TenantId, case_id: CaseId) -> HeldApproval | None:
    """The last approval of a case that was held; None where none was."""
    row = await books.reading(tenant).row("held_of_case", case_id=case_id)
    return HeldApproval.of(row) if row else None
