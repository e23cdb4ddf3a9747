"""The payment processor, as the cashier sees it: everything that a provider can answer, as a closed union."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from refunds.ids import DisbursementId, PaymentId, TenantId
from refunds.money import Money

ProviderStatus = Literal["pending", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """One refund to make under one idempotency key; the provider keeps tenant and decision beside it."""

    key: str
    tenant: TenantId
    decision_id: DisbursementId
    payment_id: PaymentId
    amount: Money


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """A refund as the provider has it."""

    refund_id: str
    tenant: str
    decision_id: str
    payment_id: str
    amount: Money
    status: ProviderStatus


@dataclass(frozen=True, slots=True)
class Made:
    """The provider has the refund; pending is not paid."""

    refund: ProviderRefund


@dataclass(frozen=True, slots=True)
class Declined:
    """A definitive no: nothing moved and nothing will."""

    code: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A definitive 5xx, which the provider saves and repeats under this key."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """Another request with this key is being worked on at this moment."""


@dataclass(frozen=True, slots=True)
class KeyMismatch:
    """The key was used for something else."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or none that says anything: it may have happened."""

    why: str


Answer = Made | Declined | Broken | InFlight | KeyMismatch | Unknown


class Processor(Protocol):
    """A provider of refunds. No method retries by itself."""

    async def refund(self, request: RefundRequest) -> Answer:
        """Ask for a refund."""
        ...

    async def refunds_of(self, tenant: TenantId, payment_id: PaymentId) -> Sequence[ProviderRefund] | None:
        """Every refund of a payment in the tenant's account, all pages; None where the provider does not answer."""
        ...
