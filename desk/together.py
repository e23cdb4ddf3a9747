"""Countersigning together: several proposals of one rule, each with its own digest, signature and row.

Nothing is decided for all of them: each is approved or refused alone, by the same check as every other approval.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from desk.catalogue import _
from desk.decisions import Conflict, DecisionRequest, Desk, NothingToDecide
from desk.dossier import dossier_of
from desk.held_approvals import HeldApprovals
from desk.notes import BadDecision
from desk.people import DECIDERS, NoAuthority, Person
from desk.queue import Filters, cases_waiting
from desk.seen_checks import keep_seen
from policies.countersigning import Countersigning
from policies.manifest import Manifest
from records.books import Books, BooksAway, Refused, Row
from records.cases import case_by_id
from refunds.ids import CaseId, TenantId
from refunds.proposal import Proposal

LOOK_AHEAD = 400
"""How far down the queue proposals are looked for that are alike."""


@dataclass(frozen=True, slots=True)
class AlikeProposal:
    """An open proposal that may be approved beside others."""

    tenant: TenantId
    case_id: CaseId
    ticket_id: str
    customer_id: str
    customer_name: str | None
    order_id: str | None
    wrote: str
    digest: str
    proposal: Proposal
    asked_alone: bool = False


@dataclass(frozen=True, slots=True)
class AlikeGroup:
    """The proposals of one rule and shop."""

    tenant: TenantId
    rule: str
    proposals: tuple[AlikeProposal, ...]


@dataclass(frozen=True, slots=True)
class TogetherResult:
    """What became of one of them; `why` is empty where it was approved."""

    alike: AlikeProposal
    why: str


@dataclass(frozen=True, slots=True)
class Together:
    """Approves several at once."""

    books: Books
    manifest: Manifest
    desk: Desk
    held: HeldApprovals
    rules: Countersigning

    async def groups(self, person: Person, chosen: frozenset[CaseId] | None = None) -> list[AlikeGroup]:
        """What this person may approve together, the largest group first; what is nobody's or theirs to decide.

        With `chosen`, only of those cases, wherever in the queue they stand.
        """
        found: dict[tuple[TenantId, str], list[AlikeProposal]] = defaultdict(list)
        filters = Filters(stage=0) if chosen is None else Filters(stage=0, chosen=chosen, sort="oldest")
        rows = await cases_waiting(self.books, person, every=False, most=LOOK_AHEAD, filters=filters)
        free = [row for row in rows if _free(row, person)]
        for tenant in person.tenants:
            theirs = {row["case_id"]: row for row in free if row["tenant"] == tenant}
            for row in await self.books.reading(tenant).rows("open_proposals", case_ids=list(theirs)):
                alike = _alike(tenant, theirs[row["case_id"]], row)
                if self.rules.may_be_together(alike.proposal):
                    found[tenant, alike.proposal.rule].append(alike)
        groups = [
            AlikeGroup(tenant, rule, self._marked(some[: self.rules.most]))
            for (tenant, rule), some in found.items()
            if len(some) > 1 or chosen is not None
        ]
        return sorted(groups, key=lambda group: (-len(group.proposals), group.tenant, group.rule))

    async def group(
        self, person: Person, tenant: TenantId, rule: str, chosen: frozenset[CaseId] | None = None
    ) -> AlikeGroup:
        """One group. NothingToDecide where there is none of that rule any more."""
        for group in await self.groups(person, chosen):
            if (group.tenant, group.rule) == (tenant, rule):
                return group
        raise NothingToDecide(_("no proposals of this rule can be approved together now"))

    def _marked(self, some: Sequence[AlikeProposal]) -> tuple[AlikeProposal, ...]:
        alone = self.rules.asked_alone([one.digest for one in some])
        return tuple(replace(one, asked_alone=one.digest in alone) for one in some)

    async def approve(
        self, person: Person, group: AlikeGroup, chosen: Mapping[str, str], read: frozenset[str]
    ) -> tuple[UUID, list[TogetherResult]]:
        """Approve those of a group that were chosen, as case id to the digest on the screen.

        BadDecision before anything is approved where too many are chosen, or one that is asked alone was not read.
        """
        if not 0 < len(chosen) <= self.rules.most:
            raise BadDecision(_("choose from 1 to %(most)s cases", most=self.rules.most))
        there = {str(one.case_id): one for one in group.proposals}
        strange = set(chosen) - set(there)
        if strange:
            raise BadDecision(_("one of these is not of this rule any more: look again"))
        picked = self._marked([there[case_id] for case_id in there if case_id in chosen])
        unread = [one for one in picked if one.asked_alone and str(one.case_id) not in read]
        if unread:
            raise BadDecision(_("%(ticket)s is to be read first", ticket=unread[0].ticket_id))
        batch = uuid4()
        results = []
        for one in picked:
            on_screen = chosen[str(one.case_id)]
            results.append(TogetherResult(one, await self._one(person, batch, one, on_screen, len(picked))))
        return batch, results

    def to_read(
        self, group: AlikeGroup, chosen: Mapping[str, str], read: frozenset[str]
    ) -> list[AlikeProposal]:
        """Those of the chosen that are read alone and have not been."""
        picked = self._marked([one for one in group.proposals if str(one.case_id) in chosen])
        return [one for one in picked if one.asked_alone and str(one.case_id) not in read]

    async def take_back(self, person: Person, tenant: TenantId, case_id: CaseId) -> str:
        """Take one back; why not, where it has been given by now."""
        try:
            await self.held.take_back(person, tenant, case_id)
        except (Conflict, NothingToDecide, BooksAway) as refusal:
            return str(refusal)
        return ""

    async def _one(self, person: Person, batch: UUID, one: AlikeProposal, digest: str, of_them: int) -> str:
        """Approve one; why not, where it does not count."""
        try:
            if digest != one.digest:
                raise Conflict(_("the proposal on the screen is no longer the open one: look again"))
            await self._keep_seen(person, one)
            async with self.books.transaction(one.tenant) as tx:
                # Before the word itself: it says nothing without one, and a word is never without it.
                await tx.rows(
                    "insert_countersigned",
                    batch_id=batch,
                    case_id=one.case_id,
                    digest=digest,
                    person=person.person,
                    of_them=of_them,
                    asked_alone=one.asked_alone,
                )
            if self.held.seconds:
                await self.held.hold(person, one.tenant, one.case_id, digest, "")
            else:
                word = DecisionRequest("approve")
                await self.desk.decide(person, one.tenant, one.case_id, digest, word)
        except (NoAuthority, Conflict, NothingToDecide, BadDecision, Refused, BooksAway) as refusal:
            return str(refusal)
        return ""

    async def _keep_seen(self, person: Person, one: AlikeProposal) -> None:
        async with self.books.transaction(one.tenant) as tx:
            case = await case_by_id(tx, one.case_id)
        if case is None:
            raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=one.case_id, tenant=one.tenant))
        shown = await dossier_of(self.books, self.manifest, case)
        await keep_seen(
            self.books, person, one.tenant, one.case_id,
            digest=one.digest, word="approve", effect=shown.effect, checks=shown.checks,
        )  # fmt: skip


def _alike(tenant: TenantId, waits: Row, open_now: Row) -> AlikeProposal:
    return AlikeProposal(
        tenant,
        CaseId(waits["case_id"]),
        waits["ticket_id"],
        waits["customer_id"],
        waits["customer_name"],
        waits["order_id"],
        waits["wrote"] or "",
        open_now["digest"],
        Proposal.of_json(json.loads(open_now["body"])),
    )


def _free(row: Row, person: Person) -> bool:
    """Whether a row of the queue is this person's to approve, as far as the row says."""
    roles = person.roles_in(TenantId(row["tenant"]))
    if row["held"] or row["voted"] or row["kind"] == "handoff" or not roles & DECIDERS:
        return False
    if row["owner"] not in {None, person.person} or row["for_person"] not in {None, person.person}:
        return False
    return row["for_role"] in {None, *roles}
