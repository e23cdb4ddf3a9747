"""The rules of authority in the books: how many people, and which, must agree before an amount is returned."""

from collections.abc import Iterable

from policies.authority import AuthorityRule
from records.books import Reads, Transaction
from refunds.ids import TenantId
from refunds.money import Currency, Money


async def authority_rules(reads: Reads, tenant: TenantId) -> list[AuthorityRule]:
    """The rules of a tenant by currency and floor; a currency that has none can be approved by nobody."""
    return [
        AuthorityRule(
            tenant, Money(row["floor_minor"], Currency(row["currency"])), row["approvals"], row["specialists"]
        )
        for row in await reads.rows("list_authority_rules")
    ]


async def add_authority_rules(tx: Transaction, rules: Iterable[AuthorityRule]) -> None:
    """Write rules; what is there already stays as it is."""
    for rule in rules:
        await tx.rows(
            "insert_authority_rule",
            tenant=rule.tenant,
            currency=rule.floor.currency,
            floor_minor=rule.floor.amount_minor,
            approvals=rule.approvals,
            specialists=rule.specialists,
        )
