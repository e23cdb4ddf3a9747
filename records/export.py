"""The audit to take away: lines of JSON that prove themselves against the anchors' keys, without the books.

A line is an event of a chain with the text of the row that it speaks of, or an anchor. The hash of an event covers the
one before it and the hash of its row; an anchor signs the heads of chains and the hash of the anchor before it.
"""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from records.audit import (
    FIRST,
    Anchor,
    AuditFinding,
    ReadSignature,
    anchored_heads,
    chain_text,
    verify_anchors,
)
from records.books import Books
from refunds.canonical import canonical, sha256
from refunds.ids import CaseId, TenantId


class BadExport(ValueError):
    """A file that is no export; the message names the line."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What an export shows."""

    scope: str
    events: int
    chains: int
    anchored: int
    """Events that stand before a signed head; those after the last one are not covered yet."""

    findings: list[AuditFinding]


async def export_lines(books: Books, tenant: TenantId, case_id: CaseId | None) -> AsyncIterator[str]:
    """The chain of a case, or every chain of a tenant, then every anchor."""
    async with books.transaction(tenant) as tx:
        # The anchors first: a head that is signed later must not be missed in events that were read before.
        anchors = [Anchor.of(row) for row in await tx.rows("all_anchors")]
        events = await tx.rows("chain_of", chain=str(case_id) if case_id else None)
    yield canonical({"export": {"tenant": tenant, "chain": str(case_id) if case_id else None}}) + "\n"
    for event in events:
        yield canonical({"event": dict(event)}) + "\n"
    for anchor in anchors:
        yield canonical({"anchor": json.loads(anchor.line())}) + "\n"


def verify_export(lines: Iterable[str], read: ReadSignature) -> Verified:
    """Hold an export against the keys that sign anchors. Raises BadExport; an edit is a finding."""
    chains: dict[tuple[str, str], list[dict[str, str | int | None]]] = {}
    anchors: list[Anchor] = []
    scope: tuple[str, str | None] | None = None
    for number, line in enumerate(lines, start=1):
        try:
            said = json.loads(line)
            if "export" in said:
                scope = said["export"]["tenant"], said["export"]["chain"]
            elif "event" in said:
                event = said["event"]
                chains.setdefault((event["tenant"], event["chain"]), []).append(event)
            else:
                anchors.append(Anchor.of(said["anchor"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadExport(f"line {number}: neither an event nor an anchor") from None
    if scope is None:
        raise BadExport("no line says whose export this is")
    findings = verify_anchors(anchors, read, "export")
    heads = anchored_heads(anchor for anchor in anchors if read(anchor.signature) is not None)
    findings += [
        AuditFinding(tenant, chain, seq, "signed, and not in the export")
        for (tenant, chain), (seq, _) in heads.items()
        if tenant == scope[0] and scope[1] in {None, chain} and (tenant, chain) not in chains
    ]
    anchored = 0
    for (tenant, chain), events in chains.items():
        findings += _broken(tenant, chain, events)
        signed = heads.get((tenant, chain))
        if signed is None:
            continue
        seq, digest = signed
        there = next((event["hash"] for event in events if event["seq"] == seq), None)
        if there == digest:
            anchored += seq
        else:
            findings.append(AuditFinding(tenant, chain, seq, "the signed head is not in the export"))
    whose = f"case {scope[1]}" if scope[1] else f"tenant {scope[0]}"
    return Verified(whose, sum(len(events) for events in chains.values()), len(chains), anchored, findings)


def _broken(tenant: str, chain: str, events: list[dict[str, str | int | None]]) -> list[AuditFinding]:
    """Events whose hash, number or row is not as it was written."""
    findings: list[AuditFinding] = []
    previous: str | int | None = FIRST
    for number, event in enumerate(events, start=1):
        parts = [
            event["previous"], tenant, chain, event["seq"], event["subject"], event["subject_key"],
            event["row_sha256"], event["actor"], event["at"],
        ]  # fmt: skip
        digest = sha256(chain_text([str(part) for part in parts]))
        if event["seq"] != number or event["previous"] != previous or event["hash"] != digest:
            findings.append(AuditFinding(tenant, chain, number, "the chain is broken here"))
        row = event["row"]
        if not isinstance(row, str) or sha256(row) != event["row_sha256"]:
            findings.append(
                AuditFinding(tenant, chain, number, f"{event['subject']} {event['subject_key']} was edited")
            )
        previous = event["hash"]
    return findings
