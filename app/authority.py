"""The rules of authority in the books: how many people, and which, must agree before an amount is returned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from policies.authority import SPECIALIST_FROM_MINOR, TWO_PEOPLE_FROM_MINOR, AuthorityRule, rules_for
from records.books import Reads, Transaction
from refunds.canonical import BadJson, read_json
from refunds.ids import TenantId
from refunds.money import Currency, Money, currency, read_amount


class BadAuthority(ValueError):
    """ApprovalLimits that do not rise, or are above the house's own."""


@dataclass(frozen=True, slots=True)
class ApprovalLimits:
    """From which amounts on a currency takes a specialist, and two people; in minor units."""

    currency: Currency
    specialist_from_minor: int
    two_people_from_minor: int

    @classmethod
    def read(cls, code: str, specialist_from: str | None, two_people_from: str | None) -> Self:
        """Limits as people write them, the house's own where none; ValueError or BadAuthority where they are none."""
        of = currency(code)
        specialist, two = (
            most if text is None else read_amount(text, of).amount_minor
            for text, most in (
                (specialist_from, SPECIALIST_FROM_MINOR),
                (two_people_from, TWO_PEOPLE_FROM_MINOR),
            )
        )
        if not 0 < specialist <= SPECIALIST_FROM_MINOR or not specialist < two <= TWO_PEOPLE_FROM_MINOR:
            raise BadAuthority(
                "limits rise, and none is above the house's own: what is approved by fewer is not paid"
            )
        return cls(of, specialist, two)


class _LimitsLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    currency: str
    specialist_from: str | None = None
    two_people_from: str | None = None


def read_limits(text: str) -> list[ApprovalLimits]:
    """Limits of a file, one JSON object a line; ValueError names the line that is none, or a currency given twice."""
    found: list[ApprovalLimits] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                said = _LimitsLine.model_validate(read_json(line))
                found.append(ApprovalLimits.read(said.currency, said.specialist_from, said.two_people_from))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                raise ValueError(
                    f"line {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
                ) from None
            except (BadJson, ValueError) as error:
                raise ValueError(f"line {number}: {error}") from None
    if not found or len({limits.currency for limits in found}) != len(found):
        raise ValueError("no rules in it" if not found else "a currency is given twice")
    return found


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


async def set_authority_rules(tx: Transaction, tenant: TenantId, every: Sequence[ApprovalLimits]) -> None:
    """Put the limits of currencies in the place of those that are there; the transaction is in the tenant."""
    for limits in every:
        await tx.rows("delete_authority_rules", currency=limits.currency)
        await add_authority_rules(
            tx,
            rules_for(tenant, [limits.currency], limits.specialist_from_minor, limits.two_people_from_minor),
        )
