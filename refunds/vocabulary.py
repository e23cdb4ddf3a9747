"""The closed sets: one vocabulary a decision, used by Python, SQL, the API and the page.

Each set that Postgres stores is an enum of the same name there; a law compares the two.
"""

from typing import Any, Literal, get_args

Intent = Literal[
    "policy_question",
    "refund_request",
    "order_question",
    "account_access",
    "other",
    "cancellation",
    "exchange",
    "refund_status",
    "dispute",
    "complaint",
]

# What a customer asks of the shop, why, and whether money is wanted; as a reader finds it in the words.
AskKind = Literal[
    "refund",
    "cancellation",
    "replacement",
    "exchange",
    "refund_status",
    "order_status",
    "order_change",
    "policy_question",
    "account_access",
    "dispute",
    "complaint",
    "other",
]
Cause = Literal[
    "damaged",
    "defective",
    "wrong_item",
    "missing",
    "late",
    "not_as_described",
    "change_of_mind",
    "unauthorised",
]
MoneyWish = Literal["wanted", "refused", "open"]
AskState = Literal["open", "waiting", "done", "failed", "skipped"]
ReadingDoubt = Literal[
    "several_orders_fit",
    "another_order",
    "not_their_order",
    "wanted_and_refused",
    "not_sure",
    "readers_disagree",
]
ReaderKind = Literal["trained", "model", "person"]
Route = Literal["guarded_agent", "human_review_now"]
Priority = Literal["low", "normal", "high", "urgent"]

# How a shop ranks a customer; who is none of them is one of everybody.
Tier = Literal["standard", "premium", "vip"]
IntakeVerdict = Literal["verified", "unsigned_intake", "expired_intake", "replayed_intake", "wrong_tenant"]

BypassReason = Literal[
    "stale_intake_bundle",
    "classifier_human_review",
    "unsigned_intake",
    "expired_intake",
    "replayed_intake",
    "wrong_tenant",
    "duplicate_ticket",
    "kill_switch",
    "release_held",
]

Action = Literal[
    "get_policy_evidence", "lookup_order", "draft_reply", "request_human_approval", "issue_refund"
]

BlockReason = Literal[
    "invalid_decision",
    "invalid_action",
    "forbidden_action",
    "invalid_arguments",
    "missing_arguments",
    "unexpected_arguments",
    "invalid_argument_types",
    "invalid_state_transition",
]

# Why a case waits for a person; a planner may add a reason of its own.
HandoffReason = Literal[
    "draft_ready_for_review",
    "no_approved_evidence",
    "missing_order",
    "step_budget_exhausted",
    "token_budget_exhausted",
    "latency_budget_exhausted",
    "cost_budget_exhausted",
    "loop_detected",
    "model_unavailable",
    "tool_unavailable",
    "approval_lapsed",
    "draft_failed_checks",
    "provider_ahead",
    "order_unbalanced",
    "several_payments",
    "more_than_left",
    "payment_disputed",
    "policy_conflict",
    "unclear_request",
    "several_orders",
    "urgent_matter",
    "returned_otherwise",
]

# `received` stands only in the books: the case is there and no pause has been reached yet.
CaseStatus = Literal[
    "received",
    "bypassed",
    "blocked",
    "needs_human",
    "approved",
    "refund_pending",
    "refunded",
    "replied",
    "rejected",
    "expired",
    "refund_failed",
    "closed_by_human",
]

# Where a ticket stands for whoever sent it: who has the next word.
TicketEnd = Literal["resolved", "waiting_for_person", "waiting_for_customer", "under_way", "failed"]

# What became of an approval that could be taken back for a few seconds.
HeldEnd = Literal["given", "taken_back", "refused"]

ProposalKind = Literal["refund", "reply", "handoff"]
VoteWord = Literal["approve", "reject", "revise"]
Authority = Literal["reviewer", "specialist"]
Role = Literal["reviewer", "specialist", "operator", "auditor", "service"]
Audience = Literal["desk", "server"]

# What a token may be used for; a person's roles are asked as well.
Scope = Literal[
    "tickets:write",
    "cases:read",
    "cases:decide",
    "messages:write",
    "flags:write",
    "jobs:write",
    "audit:read",
    "money:ask",
]

# From where a person acts: the desk's page, its API, the graph's server API, the command line.
Via = Literal["page", "api", "server", "command"]

# What a person does with a case that nobody proposes for, and whom a person asks for more.
TakeoverAct = Literal["reply", "propose", "close"]
Asked = Literal["customer", "colleague"]

# What a person asks of a disbursement whose outcome is not known, and says of a case that was decided.
ProviderAct = Literal["check", "retry", "settle", "new_key", "withdraw"]

# What a person says of a refund at the provider that these books do not know: another matter, or one that they lost.
FoundRefundAct = Literal["separate", "adopt"]
SecondVerdict = Literal["agree", "disagree", "unsure"]

Notice = Literal["new", "expiring", "second_approval", "unknown_outcome", "rolled_back", "mentioned"]
Thumb = Literal["up", "down"]

RejectCode = Literal[
    "not_eligible",
    "outside_window",
    "wrong_order",
    "insufficient_evidence",
    "suspected_abuse",
    "already_refunded",
    "wording",
    "other",
]

# What the cashier learnt of a disbursement. `refused` means that nothing was ever sent.
SettlementOutcome = Literal["pending", "succeeded", "failed", "refused", "needs_person"]

RefundResult = Literal[
    "refund_created",
    "duplicate_ignored",
    "blocked:kill_switch",
    "blocked:expired",
    "blocked:approval_mismatch",
    "blocked:not_approved",
    "blocked:over_refund",
    "blocked:mode",
    "awaiting_return",
]

# Run-time flags, set by an operator. The newest row of a name counts.
FlagName = Literal["kill_switch", "step_cap", "disabled_tools", "retrieval_only", "no_drafts"]

# What a case may do outside: staging only reads, dry_run does everything but pay and write to the customer.
CaseMode = Literal["production", "staging", "dry_run"]

# Models: for what one is asked, and what came of a call. `answered` is an answer of the wanted form.
ModelFeature = Literal["plan", "draft", "moderate", "embed", "read", "cite", "critique", "summarize"]
ModelOutcome = Literal[
    "answered",
    "refused",
    "cut_off",
    "filtered",
    "empty",
    "malformed",
    "wrong_schema",
    "not_an_answer",
    "stalled",
    "cut_stream",
    "too_long",
    "rate_limited",
    "quota_exhausted",
    "unauthorized",
    "bad_request",
    "server_error",
    "unreachable",
    "timed_out",
]

# What code noticed in a text, a request or a draft. Shown to the reviewer and counted, never relied on.
FindingKind = Literal[
    "other_language",
    "html",
    "pasted_document",
    "off_topic",
    "injection_pattern",
    "forbidden_request",
    "unknown_id",
    "contradiction",
    "invalid_answer",
    "failed_check",
    "moderated",
    "without_model",
    "retrieval_only",
    "fallback_model",
    "fallback_source",
    "lexical_only",
    "spend_warning",
    "budget",
    "model_failed",
    "unproved_words",
    "criticised",
    "stopped_draft",
]

ReviewVerdict = Literal["approve", "reject"]

# What is remembered of a customer, who said it, and whom it may stand before.
MemoryKind = Literal["language", "refund_method", "accessibility", "note"]
MemorySource = Literal["customer", "person"]
MemoryAudience = Literal["people", "people_and_models"]

# What a run does now, for whoever watches.
Stage = Literal["planning", "reading_policy", "reading_order", "drafting", "checking"]

# How far a release has come, and in what its shadow may differ from the live one.
ReleaseState = Literal["hold", "eligible_for_shadow", "shadow", "canary", "live", "rolled_back"]
Differs = Literal["decision", "path", "citations", "amount"]

DocumentStatus = Literal["draft", "approved", "withdrawn", "private"]
OrderStatus = Literal["pending", "processed", "shipped", "delivered", "cancelled"]

# With what a customer paid, what an order costs beside its goods, and how a dispute at the bank stands.
PaymentKind = Literal["card", "wallet", "bank", "gift_card", "store_credit", "cash"]
ChargeKind = Literal["shipping", "fee"]
DisputeStatus = Literal["open", "won", "lost"]

# How goods came back that a customer sent.
ReturnCondition = Literal["as_sold", "used", "damaged", "incomplete"]

# To which payment money goes back first where an order was paid more than once, as a clause says it.
PaymentOrder = Literal["gift_card_first", "card_first", "in_proportion"]
Budget = Literal["steps", "tokens", "latency", "cost"]


def one_of(words: object, word: object) -> Any:  # noqa: ANN401  (of whichever set is given)
    """The word, if it is one of a closed set; ValueError otherwise."""
    if word not in get_args(words):
        raise ValueError(f"{word!r} is none of {', '.join(get_args(words))}")
    return word


POSTGRES_ENUMS: dict[str, tuple[str, ...]] = {
    "intent": get_args(Intent),
    "route": get_args(Route),
    "intake_verdict": get_args(IntakeVerdict),
    "case_status": get_args(CaseStatus),
    "held_end": get_args(HeldEnd),
    "proposal_kind": get_args(ProposalKind),
    "vote_word": get_args(VoteWord),
    "authority": get_args(Authority),
    "person_role": get_args(Role),
    "audience": get_args(Audience),
    "reject_code": get_args(RejectCode),
    "settlement_outcome": get_args(SettlementOutcome),
    "document_status": get_args(DocumentStatus),
    "order_status": get_args(OrderStatus),
    "payment_kind": get_args(PaymentKind),
    "takeover_act": get_args(TakeoverAct),
    "asked": get_args(Asked),
    "via": get_args(Via),
    "provider_act": get_args(ProviderAct),
    "found_refund_act": get_args(FoundRefundAct),
    "second_verdict": get_args(SecondVerdict),
    "notice": get_args(Notice),
    "thumb": get_args(Thumb),
    "case_mode": get_args(CaseMode),
    "model_feature": get_args(ModelFeature),
    "model_outcome": get_args(ModelOutcome),
    "finding": get_args(FindingKind),
    "review_verdict": get_args(ReviewVerdict),
    "memory_kind": get_args(MemoryKind),
    "memory_source": get_args(MemorySource),
    "memory_audience": get_args(MemoryAudience),
    "stage": get_args(Stage),
    "release_state": get_args(ReleaseState),
    "return_condition": get_args(ReturnCondition),
    "reader_kind": get_args(ReaderKind),
}
"""Name of each Postgres enum of the schema `books`, with its labels in order."""
