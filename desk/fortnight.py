"""The fortnightly review: hand-offs, drafts that people changed by more than a few words, customers who came again."""

import difflib
import json
from collections.abc import Sequence

from desk.people import NoAuthority, Person
from records.books import Books, Row

DAYS = 14
WORDS = 5
"""Up to so many changed words are a matter of taste."""

MOST = 500


async def for_review(books: Books, person: Person, *, days: int = DAYS, words: int = WORDS) -> list[Row]:
    """What a fortnight is learnt from, over the person's tenants, the newest first. Raises NoAuthority."""
    found: list[Row] = []
    looked = False
    for tenant in person.tenants:
        if not person.roles_in(tenant) & {"operator", "auditor", "reviewer", "specialist"}:
            continue
        looked = True
        reads = books.reading(tenant)
        found += [
            _row(tenant, "hand-off", row, row["reason"])
            for row in await reads.rows("handed_over_since", days=days, most=MOST)
        ]
        for row in await reads.rows("changed_since", days=days, most=MOST):
            changed = words_changed(json.loads(row["before"])["draft"], json.loads(row["after"])["draft"])
            if changed > words:
                found.append(_row(tenant, "edit", row, f"{changed} words changed by {row['edited_by']}"))
        found += [
            _row(tenant, "came again", row, f"{row['times']} tickets about one order")
            for row in await reads.rows("came_again_since", days=days, most=MOST)
        ]
    if not looked:
        raise NoAuthority(f"{person.person} may not review the cases of any shop")
    return sorted(found, key=lambda row: row["at"], reverse=True)[:MOST]


def _row(tenant: str, kind: str, row: Row, detail: str) -> Row:
    return {
        "tenant": tenant,
        "kind": kind,
        "case_id": str(row["case_id"]),
        "ticket_id": row["ticket_id"],
        "release": row["release"],
        "detail": detail,
        "at": row["at"],
    }


def words_changed(before: str, after: str) -> int:
    """Words that were taken away or put in, whichever are more in each place."""
    one, other = before.split(), after.split()
    blocks: Sequence[tuple[str, int, int, int, int]] = difflib.SequenceMatcher(
        None, one, other, autojunk=False
    ).get_opcodes()
    return sum(max(b - a, d - c) for tag, a, b, c, d in blocks if tag != "equal")
