"""Authority: who must agree before an amount is returned. Policy data; the books count the votes."""

from collections.abc import Iterable
from dataclasses import dataclass

from refunds.ids import TenantId
from refunds.money import NO_CURRENCY, Currency, Money
from refunds.vocabulary import Authority, Role


@dataclass(frozen=True, slots=True)
class AuthorityRule:
    """From `floor` on, this many people must approve, so many of them specialists."""

    tenant: TenantId
    floor: Money
    approvals: int
    specialists: int


SPECIALIST_FROM_MINOR = 50_000
TWO_PEOPLE_FROM_MINOR = 200_000


def rules_for(
    tenant: TenantId,
    currencies: Iterable[Currency],
    specialist_from_minor: int = SPECIALIST_FROM_MINOR,
    two_people_from_minor: int = TWO_PEOPLE_FROM_MINOR,
) -> tuple[AuthorityRule, ...]:
    """The house's default for a tenant: at 500.00 a specialist, at 2,000.00 two people, one a specialist.

    A reply or a hand-over, which is zero of no currency, takes one person. A currency without rules
    can be approved by nobody.
    """
    rules = [AuthorityRule(tenant, Money(0, NO_CURRENCY), 1, 0)]
    for currency in currencies:
        rules += [
            AuthorityRule(tenant, Money(0, currency), 1, 0),
            AuthorityRule(tenant, Money(specialist_from_minor, currency), 1, 1),
            AuthorityRule(tenant, Money(two_people_from_minor, currency), 2, 1),
        ]
    return tuple(rules)


def rule_of(amount: Money, rules: Iterable[AuthorityRule]) -> AuthorityRule | None:
    """The rule with the greatest floor at or below the amount."""
    fitting = [rule for rule in rules if rule.floor.currency == amount.currency and rule.floor <= amount]
    return max(fitting, key=lambda rule: rule.floor.amount_minor, default=None)


def highest_authority(roles: frozenset[Role]) -> Authority | None:
    """With which authority a person votes: the highest they have; None for those who may not vote."""
    if "specialist" in roles:
        return "specialist"
    return "reviewer" if "reviewer" in roles else None


def may_approve(authority: Authority, rule: AuthorityRule | None) -> bool:
    """Whether a vote of this authority can count towards the rule at all."""
    if rule is None:
        return False
    return authority == "specialist" or rule.approvals > rule.specialists
