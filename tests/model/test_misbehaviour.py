"""However a provider misbehaves, a case ends in a documented state, the money is untouched and the tokens are booked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, served
from model_kit import diligent, model_stage
from stage import Cluster, Stage

from refunds.vocabulary import ModelOutcome


@dataclass(frozen=True)
class Law:
    """How the provider behaves where, and how the case has to end."""

    feature: str
    behaves: tuple[str, ...]
    status: str
    reason: str
    finding: str = ""
    outcome: ModelOutcome | None = None
    kind: str = "refund"
    unnoticed: bool = False
    """Whether nobody has to hear of it: the answer counts."""


READY = ("needs_human", "draft_ready_for_review")
LAWS: list[Law] = [
    # What may pass is tried again and nobody notices.
    Law("plan", ("500", "ok"), *READY, outcome="server_error"),
    Law("plan", ("429", "ok"), *READY, outcome="rate_limited"),
    Law("draft", ("cut-stream", "ok"), *READY, outcome="cut_stream"),
    Law("plan", ("html", "ok"), *READY, outcome="not_an_answer"),
    # What does not pass: the next model writes, or the rule does, and the page says so.
    Law("plan", ("500",), *READY, "without_model", "server_error"),
    Law("plan", ("503",), *READY, "without_model", "server_error"),
    Law("plan", ("429-long",), *READY, "without_model", "rate_limited"),
    Law("plan", ("429-silly",), *READY, "without_model", "rate_limited"),
    Law("plan", ("429-inf",), *READY, "without_model", "rate_limited"),
    Law("plan", ("quota",), *READY, "without_model", "quota_exhausted"),
    Law("plan", ("401",), *READY, "without_model", "unauthorized"),
    Law("plan", ("403",), *READY, "without_model", "unauthorized"),
    Law("plan", ("400",), *READY, "without_model", "bad_request"),
    Law("plan", ("404",), *READY, "without_model", "bad_request"),
    Law("plan", ("html",), *READY, "without_model", "not_an_answer"),
    Law("plan", ("json-of-another-shape",), *READY, "without_model", "not_an_answer"),
    Law("plan", ("plain",), *READY, "without_model", "not_an_answer"),
    Law("plan", ("redirect",), *READY, "without_model"),
    Law("plan", ("hang",), *READY, "without_model", "timed_out"),
    Law("plan", ("invalid-utf8",), *READY, "without_model"),
    Law("plan", ("empty-body",), *READY, "without_model", "not_an_answer"),
    Law("plan", ("cut",), *READY, "without_model", "not_an_answer"),
    Law("plan", ("no-choices",), *READY, "without_model", "not_an_answer"),
    Law("plan", ("402",), *READY, "without_model", "quota_exhausted"),
    Law("plan", ("quota-in-type",), *READY, "without_model", "quota_exhausted"),
    Law("plan", ("408",), *READY, "without_model", "timed_out"),
    Law("plan", ("408", "ok"), *READY, outcome="timed_out", unnoticed=True),
    Law("plan", ("409", "ok"), *READY, outcome="server_error", unnoticed=True),
    Law("plan", ("error-with-200",), *READY, "without_model", "server_error"),
    Law("plan", ("error-with-200", "ok"), *READY, outcome="server_error", unnoticed=True),
    Law("plan", ("rate-with-200", "ok"), *READY, outcome="rate_limited", unnoticed=True),
    Law("plan", ("429-ms", "ok"), *READY, outcome="rate_limited", unnoticed=True),
    Law("plan", ("429-date", "ok"), *READY, outcome="rate_limited", unnoticed=True),
    Law("plan", ("429-date-far",), *READY, "without_model", "rate_limited"),
    # What parses into the form is an answer, whatever stands around it and however it is said to have ended.
    *(
        Law("plan", (how,), *READY, outcome="answered", unnoticed=True)
        for how in (
            "fence",
            "thinks",
            "thought",
            "bom",
            "trailing",
            "prose",
            "strange-finish",
            "finish-eos",
            "finish-eos_token",
            "finish-end_turn",
            "finish-STOP",
            "finish-",
            "arguments-as-object",
            "arguments-as-text",
        )
    ),
    *(
        Law("draft", (how,), *READY, outcome="answered", unnoticed=True)
        for how in ("fence", "thinks", "trailing", "finish-eos", "finish-", "keep-alive")
    ),
    # And what was cut, filtered or only thought is none.
    Law("plan", ("finish-max_tokens",), *READY, "without_model", "cut_off"),
    Law("plan", ("finish-safety",), *READY, "without_model", "filtered"),
    Law("plan", ("finish-cut",), *READY, "without_model", "cut_stream"),
    Law("plan", ("only-thinks",), *READY, "without_model", "answered"),
    Law("plan", ("null-content",), *READY, "without_model", "empty"),
    Law("draft", ("500",), *READY, "without_model", "server_error"),
    Law("draft", ("hang",), *READY, "without_model", "timed_out"),
    Law("draft", ("stalled-stream",), *READY, "without_model", "stalled"),
    Law("draft", ("error-in-stream",), *READY, "without_model", "server_error"),
    Law("draft", ("garbage-in-stream",), *READY, "without_model"),
    # An answer that is none: once more with the reason, then the deterministic way.
    Law("plan", ("refusal",), *READY, "without_model", "refused"),
    Law("plan", ("length",), *READY, "without_model", "cut_off"),
    Law("plan", ("filter",), *READY, "without_model", "filtered"),
    Law("plan", ("empty",), *READY, "without_model", "empty"),
    Law("plan", ("malformed",), *READY, "without_model", "answered"),
    Law("plan", ("wrong-schema",), *READY, "without_model", "answered"),
    Law("plan", ("extra-keys",), *READY, "without_model", "answered"),
    Law("plan", ("wrong-types",), *READY, "without_model", "answered"),
    Law("plan", ("twice-a-key",), *READY, "without_model", "answered"),
    Law("plan", ("tool-call",), *READY, "without_model", "answered"),
    Law("plan", ("malformed", "ok"), *READY, "invalid_answer", "answered"),
    Law("draft", ("extra-keys",), *READY, "without_model", "answered"),
    Law("draft", ("megabyte",), *READY, "without_model", "too_long"),
    # A request for what is not allowed is blocked; for what is not there, it finds nothing.
    Law("plan", ("issue_refund",), "blocked", "forbidden_action", "forbidden_request", kind="none"),
    Law("plan", ("unknown-tool",), "blocked", "forbidden_action", "forbidden_request", kind="none"),
    Law("plan", ("unknown-tool", "ok"), *READY, "forbidden_request"),
    Law("plan", ("issue_refund", "ok"), "blocked", "forbidden_action", "forbidden_request", kind="none"),
    Law("plan", ("invented-order",), "needs_human", "loop_detected", "unknown_id", kind="handoff"),
    Law("plan", ("loop",), "needs_human", "loop_detected", kind="handoff"),
    # A draft that says what nobody knows is said again, and then by a person.
    Law(
        "draft", ("invented-citation",), "needs_human", "draft_failed_checks", "failed_check", kind="handoff"
    ),
    Law("draft", ("invented-number",), "needs_human", "draft_failed_checks", "failed_check", kind="handoff"),
    Law("draft", ("agrees",), "needs_human", "draft_failed_checks", "failed_check", kind="handoff"),
    Law("draft", ("asks-for-secrets",), "needs_human", "draft_failed_checks", "failed_check", kind="handoff"),
    Law("draft", ("a-place-less",), "needs_human", "draft_failed_checks", "failed_check", kind="handoff"),
    Law("draft", ("invented-number", "ok"), *READY, "failed_check"),
    Law("plan", ("nul",), "blocked", "forbidden_action", "forbidden_request", kind="none"),
    Law("draft", ("nul",), "needs_human", "draft_failed_checks", "failed_check", kind="handoff"),
    Law("plan", ("huge-usage",), *READY, outcome="answered"),
    # Who counts nothing has not counted: it cost what was reserved.
    Law("plan", ("zero-usage",), *READY, outcome="answered"),
    Law("plan", ("no-usage",), *READY, outcome="answered"),
]


@pytest.mark.parametrize("part", range(3))
async def test_every_way_to_misbehave_ends_as_documented_and_is_booked_to_the_token(
    cluster: Cluster, url: str, tmp_path: Path, part: int
) -> None:
    with served(FakeOpenAI(diligent)) as fake:
        async with model_stage(
            cluster, url, tmp_path, fake, seconds=0.6, stall_seconds=0.3, attempts=2
        ) as stage:
            await stage.many_orders(len(LAWS))
            for number, law in list(enumerate(LAWS))[part::3]:
                await obeyed(stage, fake, law, f"X{number}")
            assert stage.refunds() == 0
            assert await stage.count("disbursements") == 0


async def obeyed(stage: Stage, fake: FakeOpenAI, law: Law, order_id: str) -> None:
    fake.behaviours = {law.feature: list(law.behaves)}
    fake.released.clear()
    case = await stage.submit(order_id=order_id)
    state = await stage.run(case)
    fake.released.set()
    assert (state["status"], state["reason"]) == (law.status, law.reason), (law, state["trace"])
    proposal: Any = state["proposal"]
    assert (proposal["kind"] if proposal else "none") == law.kind, law
    found = await stage.sql("select kind, detail from books.findings where case_id = %s", case.case_id)
    assert not law.unnoticed or {row["kind"] for row in found} <= {"model_failed"}, (law, found)
    assert not law.finding or law.finding in {row["kind"] for row in found}, (law, found)
    calls = await stage.sql("select * from books.model_calls where case_id = %s order by at", case.case_id)
    settled = [row for row in calls if row["phase"] == "settled"]
    reserved = [row for row in calls if row["phase"] == "reserved"]
    assert len(settled) == len(reserved) > 0, law
    assert law.outcome is None or law.outcome in {row["outcome"] for row in settled}, (law, settled)
    for before in reserved:
        after = next(
            row for row in settled if (row["step"], row["attempt"]) == (before["step"], before["attempt"])
        )
        if after["usage_reported"]:
            assert after["tokens"] == sum(fake.usage[name] for name in ("prompt_tokens", "completion_tokens"))
        else:
            never_began = after["outcome"] in {
                "rate_limited", "quota_exhausted", "unauthorized", "bad_request", "unreachable",
            }  # fmt: skip
            assert after["tokens"] == (0 if never_began else before["tokens"]), (law, after)
    trace: Any = state["trace"]
    assert sum(row["tokens"] for row in trace) == sum(row["tokens"] for row in settled), law
    # The endpoint is well again for the next one.
    await stage.forced(
        "update books.model_calls set at = at - interval '1 hour' where case_id = %s", case.case_id
    )
