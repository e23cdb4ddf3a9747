"""The audit: one hash chain a case, all heads signed now and then, and what verifying them finds.

A chain alone shows an edit; a deleted tail or a whole rewrite shows against the signed heads, of which a
copy lies outside the database. What came after the last anchor is covered by the next one.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from records.books import Books, Row, Transaction
from records.cases import books_now
from refunds.canonical import canonical, sha256
from refunds.decision import instant
from refunds.ids import TenantId

Sign = Callable[[str], str]
ReadSignature = Callable[[str], tuple[str, str] | None]
"""The text in a signature by a trusted key, and its kid; None where there is none."""

FIRST = "0" * 64

OVERLAP = timedelta(minutes=2)
"""Longer than any transaction of the house may last: an event is stamped before it commits."""

LAST_LINE_BYTES = 65_536
"""Read from the end of the outer copy, and more where its last line is longer."""

EVERYBODY = TenantId("*")
"""Whose chain holds the flags that are set for every tenant."""

WRITERS = {
    "cases": {"desk", "graph"},
    "trace_events": {"graph"},
    "proposals": {"graph"},
    "votes": {"desk"},
    "decisions": {"desk"},
    "disbursements": {"graph"},
    "sends": {"cashier"},
    "settlements": {"cashier"},
    "messages": {"desk"},
    "replies": {"desk"},
    "claims": {"desk"},
    "takeovers": {"desk"},
    "deliveries": {"desk"},
    "flags": {"desk"},
    "assignments": {"desk"},
    "provider_acts": {"desk"},
    "provider_answers": {"cashier"},
    "second_reviews": {"desk"},
    "ratings": {"desk"},
    "unread_answers": {"desk"},
    "found_refunds": {"cashier"},
    "found_refund_acts": {"desk"},
}
"""Which role writes what; a row by anybody else was not written by the house."""

Heads = dict[tuple[str, str], tuple[int, str]]


class BadAnchors(ValueError):
    """The outer copy of the anchors cannot be read; the message names the line."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something in the books that is not as it was written."""

    tenant: str
    chain: str
    seq: int
    what: str

    def __str__(self) -> str:
        return f"{self.tenant} {self.chain} #{self.seq}: {self.what}"


@dataclass(frozen=True, slots=True)
class Anchor:
    """One signed list of heads."""

    anchor_no: int
    payload: str
    signature: str
    hash: str
    previous: str

    @classmethod
    def of(cls, row: Row) -> "Anchor":
        return cls(row["anchor_no"], row["payload"], row["signature"], row["hash"], row["previous"])

    def line(self) -> str:
        return canonical(
            {
                "anchor_no": self.anchor_no,
                "payload": self.payload,
                "signature": self.signature,
                "hash": self.hash,
                "previous": self.previous,
            }
        )


def chain_text(parts: Iterable[str]) -> str:
    """Parts with their lengths, so that no part can pass for two; the same as the function in Postgres."""
    return ",".join(f"{len(part)}:{part}" for part in parts)


async def anchor(books: Books, sign: Sign, copy: Path) -> Anchor | None:
    """Sign the heads that moved, chained to the last anchor, and bring the outer copy up to date.

    `books` are the anchorer's. None where nothing moved.
    """
    made = None
    async with books.transaction() as tx:
        await tx.rows("lock_anchors")
        last_row = await tx.row("last_anchor")
        last = Anchor.of(last_row) if last_row else None
        since = json.loads(last.payload)["since"] if last else None
        heads = await tx.rows("moved_heads", since=since)
        known = anchored_heads([last]) if last else {}
        moved = [[row["tenant"], row["chain"], row["seq"], row["hash"]] for row in heads]
        if any(known.get((head[0], head[1])) != (head[2], head[3]) for head in moved):
            number = last.anchor_no + 1 if last else 1
            previous = last.hash if last else FIRST
            payload = canonical(
                {
                    "anchor_no": number,
                    "previous": previous,
                    "since": instant(await books_now(tx) - OVERLAP),
                    "heads": moved,
                }
            )
            made = Anchor(number, payload, sign(payload), sha256(payload), previous)
            await tx.rows(
                "insert_anchor",
                anchor_no=made.anchor_no,
                payload=made.payload,
                signature=made.signature,
                hash=made.hash,
                previous=made.previous,
            )
        there = last_number(copy)
        missing = [Anchor.of(row) for row in await tx.rows("anchors_after", anchor_no=there)]
        write_copy(copy, missing)
    return made


def last_number(copy: Path) -> int:
    """The number of the last anchor in an outer copy, 0 where there is none; BadAnchors where it cannot be read."""
    if not copy.exists():
        return 0
    with copy.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        read = LAST_LINE_BYTES
        while True:
            file.seek(max(0, size - read))
            lines = file.read().splitlines()
            if len(lines) > 1 or read >= size:
                break
            read *= 4
    if not lines:
        return 0
    try:
        return int(json.loads(lines[-1])["anchor_no"])
    except (ValueError, KeyError, TypeError):
        raise BadAnchors(f"{copy}: its last line is not an anchor") from None


def write_copy(copy: Path, missing: list[Anchor]) -> None:
    """Append the anchors that the outer copy does not have yet; what it has is never rewritten."""
    if missing:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.open("a", encoding="utf-8") as file:
            file.writelines(anchor.line() + "\n" for anchor in missing)
            file.flush()
            os.fsync(file.fileno())


def read_copy(copy: Path) -> list[Anchor]:
    """The anchors in an outer copy, none where there is none yet; BadAnchors names the line that is not one."""
    anchors: list[Anchor] = []
    if not copy.exists():
        return anchors
    for number, line in enumerate(copy.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            anchors.append(Anchor.of(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            raise BadAnchors(f"{copy}:{number}: not an anchor") from None
    return anchors


def anchored_heads(anchors: Iterable[Anchor]) -> Heads:
    """The last signed head of every chain."""
    heads: Heads = {}
    for signed in anchors:
        for tenant, chain, seq, digest in json.loads(signed.payload)["heads"]:
            heads[tenant, chain] = (seq, digest)
    return heads


async def verify_trail(books: Books, read: ReadSignature, copy: Path) -> tuple[list[AuditFinding], int]:
    """Everything that is not as it was written, over all tenants; and how many events were read.

    `books` are the desk's. The outer copy is believed before the table.
    """
    async with books.transaction() as tx:
        table = [Anchor.of(row) for row in await tx.rows("all_anchors")]
    outer = read_copy(copy)
    findings = verify_anchors(table, read, "table") + verify_anchors(outer, read, "copy")
    findings += [
        AuditFinding("*", "anchors", mine.anchor_no, "the table and the outer copy differ")
        for mine, theirs in zip(table, outer, strict=False)
        if mine != theirs
    ]
    if table and not outer:
        findings.append(AuditFinding("*", "anchors", 0, f"the outer copy {copy.name} is missing"))
    if len(table) < len(outer):
        findings.append(AuditFinding("*", "anchors", len(table) + 1, "missing from the table"))
    trusted = outer if len(outer) >= len(table) else table
    heads = anchored_heads(signed for signed in trusted if read(signed.signature) is not None)
    events = 0
    tenants = [*await books.tenants(), EVERYBODY]
    for tenant in tenants:
        async with books.transaction(tenant) as tx:
            found, read_events = await verify_tenant(tx, tenant, heads)
        findings += found
        events += read_events
    gone = {tenant for tenant, _ in heads} - set(tenants)
    findings += [AuditFinding(tenant, "*", 0, "the tenant is gone") for tenant in sorted(gone)]
    return findings, events


def verify_anchors(anchors: list[Anchor], read: ReadSignature, where: str) -> list[AuditFinding]:
    """Broken signatures, numbers and links in a list of anchors."""
    findings: list[AuditFinding] = []
    previous = FIRST
    for number, signed in enumerate(anchors, start=1):
        text = read(signed.signature)
        said = json.loads(signed.payload) if text and text[0] == signed.payload else None
        if (
            said is None
            or sha256(signed.payload) != signed.hash
            or signed.anchor_no != number
            or said["anchor_no"] != number
            or said["previous"] != previous
            or signed.previous != previous
        ):
            findings.append(AuditFinding("*", "anchors", number, f"not as it was signed ({where})"))
        previous = signed.hash
    return findings


async def verify_tenant(tx: Transaction, tenant: TenantId, heads: Heads) -> tuple[list[AuditFinding], int]:
    """What is not as it was written in one tenant's books."""
    findings: list[AuditFinding] = []
    chains: dict[str, list[Row]] = defaultdict(list)
    for row in await tx.rows("audit_of_tenant"):
        chains[row["chain"]].append(row)
    rows = {(row["subject"], row["subject_key"]): row["row_sha256"] for row in await tx.rows("audited_rows")}
    recorded: set[tuple[str, str]] = set()
    for chain, events in chains.items():
        findings += _broken_links(tenant, chain, events)
        for event in events:
            subject = (event["subject"], event["subject_key"])
            recorded.add(subject)
            if event["actor"] not in WRITERS.get(event["subject"], {event["actor"]}):
                findings.append(
                    AuditFinding(tenant, chain, event["seq"], f"{subject[0]} written by {event['actor']}")
                )
            if subject not in rows:
                findings.append(
                    AuditFinding(tenant, chain, event["seq"], f"{subject[0]} {subject[1]} was deleted")
                )
            elif rows[subject] != event["row_sha256"]:
                findings.append(
                    AuditFinding(tenant, chain, event["seq"], f"{subject[0]} {subject[1]} was edited")
                )
    findings += [
        AuditFinding(tenant, "*", 0, f"{subject} {key} has no event")
        for subject, key in sorted(set(rows) - recorded)
    ]
    for (of_tenant, chain), (seq, digest) in heads.items():
        if of_tenant == tenant:
            there = next((event["hash"] for event in chains.get(chain, []) if event["seq"] == seq), None)
            if there != digest:
                findings.append(AuditFinding(tenant, chain, seq, "the signed head is not in the chain"))
    return findings, sum(len(events) for events in chains.values())


def _broken_links(tenant: str, chain: str, events: list[Row]) -> list[AuditFinding]:
    findings: list[AuditFinding] = []
    previous = FIRST
    for number, event in enumerate(events, start=1):
        digest = sha256(
            chain_text(
                [
                    event["previous"], tenant, chain, str(event["seq"]), event["subject"], event["subject_key"],
                    event["row_sha256"], event["actor"], event["at"],
                ]
            )
        )  # fmt: skip
        if event["seq"] != number or event["previous"] != previous or event["hash"] != digest:
            findings.append(AuditFinding(tenant, chain, event["seq"], "the chain is broken here"))
        previous = event["hash"]
    return findings
