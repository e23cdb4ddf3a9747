"""The refund clauses: one a file, each citing the clause of the policy that it applies.

A rule is a pure function of the claim and of its parameters, which stand in the header of the policy
document: the version in force brings its own numbers. It allows, denies or has nothing to say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from pydantic import BaseModel, ValidationError

from policies.clauses import change_of_mind, damaged_electronics, pending_cancellation
from policies.clauses.claim import Allow, Claim, Deny, RuleInForce, Verdict
from refunds.evidence import Citation

__all__ = ["Allow", "Claim", "Deny", "Judgement", "RuleInForce", "check_rules", "judge"]

_RULES = {
    damaged_electronics.RULE: damaged_electronics.judge,
    change_of_mind.RULE: change_of_mind.judge,
    pending_cancellation.RULE: pending_cancellation.judge,
}
_PARAMETERS: dict[str, type[BaseModel]] = {
    damaged_electronics.RULE: damaged_electronics.Parameters,
    change_of_mind.RULE: change_of_mind.Parameters,
    pending_cancellation.RULE: pending_cancellation.Parameters,
}
RULES = frozenset(_RULES)


class BadRule(ValueError):
    """A document states a rule that the program does not have, or with parameters that do not fit."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the clauses say of a claim, and which one decided."""

    verdict: Allow | Deny
    rule: str
    citation: Citation


def judge(claim: Claim, rules: Iterable[RuleInForce]) -> Judgement | None:
    """The first rule that allows; failing that the first that denies; None where no rule applies."""
    denied: Judgement | None = None
    for rule in rules:
        found = apply(claim, rule)
        match found:
            case Allow():
                return Judgement(found, rule.rule, rule.citation)
            case Deny():
                denied = denied or Judgement(found, rule.rule, rule.citation)
            case None:
                pass
            case _:
                assert_never(found)
    return denied


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


def apply(claim: Claim, rule: RuleInForce) -> Verdict:
    """One rule on a claim; BadRule where it cannot be applied."""
    function = _RULES.get(rule.rule)
    if function is None:
        raise BadRule(f"no rule is called {rule.rule}")
    try:
        return function(claim, rule.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadRule(f"{rule.rule}: {first['loc']}: {first['msg']}") from None
