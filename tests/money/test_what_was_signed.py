"""What was signed is what is paid: an administrator may change every row, and moves no money with it."""

import json
import uuid

import pytest
from stage import Stage

from desk.decisions import DecisionRequest
from refunds.canonical import canonical, sha256

EDITS = [
    pytest.param("update books.disbursements set amount_minor = 100", id="disbursement-amount"),
    pytest.param(
        "update books.disbursements set payment_id = 'pay_D301', order_id = 'D301'", id="disbursement-payment"
    ),
    pytest.param("update books.disbursements set digest = repeat('a', 64)", id="disbursement-digest"),
    pytest.param("update books.disbursements set thread_id = gen_random_uuid()", id="disbursement-thread"),
    pytest.param("update books.votes set amount_minor = 100", id="vote-amount"),
    pytest.param("update books.votes set person = 'demo-specialist'", id="vote-person"),
    pytest.param("update books.votes set word = 'reject'", id="vote-word"),
    pytest.param("update books.votes set authority = 'specialist'", id="vote-authority"),
    pytest.param("update books.votes set execute_by = execute_by + interval '1 year'", id="vote-execute-by"),
    pytest.param("update books.votes set payload = replace(payload, '7900', '7800')", id="vote-payload"),
    pytest.param("update books.votes set signature = replace(signature, '.', '.A')", id="vote-signature"),
    pytest.param("update books.votes set kid = 'desk-2'", id="vote-kid"),
    pytest.param("delete from books.votes", id="vote-gone"),
    pytest.param(
        "alter table books.proposals drop constraint proposals_check; update books.proposals set body = replace(body, '7900', '7800')",
        id="proposal-body",
    ),
    pytest.param("update books.cases set thread_id = gen_random_uuid()", id="case-thread"),
]


@pytest.mark.parametrize("edit", EDITS)
async def test_an_administrators_edit_of_a_signed_row_is_not_paid(stage: Stage, edit: str) -> None:
    await stage.ordered()
    await stage.forced(edit)
    await stage.house.executor.settle_all()
    assert stage.refunds() == 0


async def test_an_administrators_whole_chain_with_another_amount_is_not_paid(stage: Stage) -> None:
    """Every column, the proposal's text, its digest and the payload are changed together; the signature cannot be."""
    await stage.ordered()
    row = (await stage.sql("select body from books.proposals"))[0]
    body = canonical(json.loads(row["body"]) | {"amount_minor": 7_800})
    digest = sha256(body)
    await stage.forced("update books.proposals set body = %s, digest = %s, amount_minor = 7800", body, digest)
    vote = (await stage.sql("select payload from books.votes"))[0]
    payload = canonical(json.loads(vote["payload"]) | {"amount_minor": 7_800, "digest": digest})
    await stage.forced(
        "update books.votes set payload = %s, digest = %s, amount_minor = 7800", payload, digest
    )
    for table in ("decisions", "disbursements"):
        await stage.forced(f"update books.{table} set digest = %s, amount_minor = 7800", digest)
    await stage.house.executor.settle_all()
    assert stage.refunds() == 0
    assert (await stage.sql("select detail from books.settlements"))[0][
        "detail"
    ] == "blocked:approval_mismatch"


@pytest.mark.parametrize("word", ["approve", "reject"])
async def test_a_copied_signature_under_a_new_id_or_word_is_not_paid(stage: Stage, word: str) -> None:
    """A signed ballot of one case is copied to another case of the same customer and amount."""
    donor, _ = await stage.paused()
    reject = DecisionRequest("reject", "other") if word == "reject" else DecisionRequest("approve")
    await stage.say(donor, reject)
    victim, _ = await stage.paused()
    proposal = (await stage.sql("select * from books.proposals where case_id = %s", victim.case_id))[0]
    donated = (await stage.sql("select * from books.votes where case_id = %s", donor.case_id))[0]
    copied = donated | {
        name: proposal[name]
        for name in ("proposal_id", "case_id", "thread_id", "digest", "payment_id", "order_id")
    }
    copied |= {"decision_id": uuid.uuid4(), "word": "approve"}
    names = list(copied)
    await stage.sql("set session_replication_role = replica")
    marks = ", ".join(["%s"] * len(names))
    await stage.sql(f"insert into books.votes ({', '.join(names)}) values ({marks})", *copied.values())
    decision = {
        name: copied[name]
        for name in (
            "tenant", "decision_id", "proposal_id", "case_id", "thread_id", "digest", "kind", "payment_id", "order_id",
            "amount_minor", "currency", "decided_at", "execute_by",
        )
    } | {"word": "approve", "decided_by": copied["person"]}  # fmt: skip
    marks = ", ".join(["%s"] * len(decision))
    await stage.sql(
        f"insert into books.decisions ({', '.join(decision)}) values ({marks})", *decision.values()
    )
    await stage.sql("set session_replication_role = origin")
    await stage.finish()
    assert stage.refunds() == (1 if word == "approve" else 0)
    refunds = stage.house.provider.all_refunds()
    assert all(refund.decision_id != str(copied["decision_id"]) for refund in refunds)
