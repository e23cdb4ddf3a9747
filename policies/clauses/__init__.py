"""The refund clauses: one a file, each citing the clause of the policy that it applies.

A rule is a pure function of the claim and of its parameters, which stand in the header of the policy
document: the version in force brings its own numbers. It allows, denies, bars, asks or has nothing to say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from pydantic import BaseModel, ValidationError

from policies.clauses import (
    actionable_status,
    cancellation_to_confirm,
    change_of_mind,
    damaged_electronics,
    delivered_return,
    excluded_category,
    faulty_goods,
    items_to_name,
    late_delivery,
    pending_cancellation,
    several_payments,
)
from policies.clauses.claim import Allow, Ask, Bar, Claim, Deny, LeaveToPerson, RuleInForce, RuleVerdict
from refunds.evidence import Citation
from refunds.vocabulary import PaymentOrder

__all__ = [
    "ASKING",
    "Allow",
    "Ask",
    "Bar",
    "Claim",
    "Deny",
    "Judgement",
    "LeaveToPerson",
    "RuleInForce",
    "check_rules",
    "judge",
]

_MODULES = (
    actionable_status,
    cancellation_to_confirm,
    change_of_mind,
    damaged_electronics,
    delivered_return,
    excluded_category,
    faulty_goods,
    items_to_name,
    late_delivery,
    pending_cancellation,
    several_payments,
)
_RULES: dict[str, Callable[[Claim, Mapping[str, object]], RuleVerdict]] = {m.RULE: m.judge for m in _MODULES}
_PARAMETERS: dict[str, type[BaseModel]] = {m.RULE: m.PARAMETERS for m in _MODULES}
RULES = frozenset(_RULES)
ASKING = frozenset({items_to_name.RULE, cancellation_to_confirm.RULE})
"""Rules that speak where a customer wants money back and does not say for what."""


class BadRule(ValueError):
    """A document states a rule that the program does not have, or with parameters that do not fit."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the clauses say of a claim, and which one decided."""

    verdict: Allow | Ask | Bar | Deny | LeaveToPerson
    rule: str
    citation: Citation
    beside: Citation | None = None
    """The clause that says to which payments money goes back, where it goes to several."""

    payment_order: PaymentOrder | None = None
    """What that clause says."""


def judgement_of(claim: Claim, rules: Iterable[RuleInForce]) -> Judgement | None:
    """What counts most of what the rules say: bar, yes, hand-over, question, no; None where no rule applies."""
    stated = list(rules)
    order = next((rule for rule in stated if rule.rule == several_payments.RULE), None)
    if order is not None:
        claim = replace(claim, payment_order=several_payments.payment_order_of(order.parameters))
    said: list[Judgement] = []
    for rule in stated:
        found = apply(claim, rule)
        if found is not None:
            beside = order.citation if order and isinstance(found, Allow) and found.legs else None
            said.append(Judgement(found, rule.rule, rule.citation, beside, claim.payment_order))
    best = min(said, key=lambda judgement: _weight(judgement.verdict), default=None)
    if best is not None and _rests_on_silence(best, claim, stated):
        return replace(best, verdict=LeaveToPerson("unclear_request", (best.citation,)))
    return best


def _rests_on_silence(found: Judgement, claim: Claim, rules: Sequence[RuleInForce]) -> bool:
    """Whether a denial stands only where nothing is damaged, and the words do not rule that out."""
    match found.verdict:
        case Bar(unless_damaged=True):
            return claim.says_damaged or claim.cause_open
        case Deny() if claim.cause_open and not claim.says_damaged:
            otherwise = judgement_of(replace(claim, says_damaged=True, cause_open=False), rules)
            return otherwise is not None and not isinstance(otherwise.verdict, Deny | Bar)
        case _:
            return False


def _weight(verdict: Allow | Ask | Bar | Deny | LeaveToPerson) -> int:
    """What goes first where two clauses speak."""
    match verdict:
        case Bar():
            return 0
        case Allow():
            return 1
        case LeaveToPerson():
            return 2
        case Ask():
            return 3
        case Deny():
            return 4
        case _:
            assert_never(verdict)


def check_rules(rules: Iterable[Mapping[str, object]]) -> None:
    """BadRule where a document states a rule that the program does not have, or parameters that do not fit it."""
    for rule in rules:
        parameters = _PARAMETERS.get(str(rule.get("rule")))
        if parameters is None:
            raise BadRule(f"no rule is called {rule.get('rule')}: there are {', '.join(sorted(RULES))}")
        try:
            parameters.model_validate(rule)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise BadRule(f"{rule['rule']}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def apply(claim: Claim, rule: RuleInForce) -> RuleVerdict:
    """One rule on a claim; BadRule where it cannot be applied."""
    function = _RULES.get(rule.rule)
    if function is None:
        raise BadRule(f"no rule is called {rule.rule}")
    try:
        return function(claim, rule.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadRule(f"{rule.rule}: {first['loc']}: {first['msg']}") from None
