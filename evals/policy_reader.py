"""The policy's reader in an exam of its own: the model of a manifest, asked question by question."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from app.house import House, home_private_key, open_house
from app.shop import DEMO, demo_tokens
from desk.people import Person, sign_in
from graph.evidence_reader import EvidenceReader
from graph.planner import PlanContext
from policies.intake import classify, sign
from refunds.evidence import Citation, Offer
from refunds.ticket import Ticket
from runtime.home import Home


class NoModel(Exception):
    """Questions were to be asked with a model, and none is named."""


@dataclass(frozen=True, slots=True)
class PolicyReader:
    """The model of the manifest that reads the policy; each question is a case, so that what it costs is booked."""

    house: House
    reader: EvidenceReader
    helpdesk: Person

    async def read(self, name: str, question: str, offers: Sequence[Offer]) -> Citation | None:
        """The clause that it says answers; the question stands in the books under this name."""
        manifest, key = self.house.manifest, home_private_key(self.house.home, "intake")
        said = {"ticket_id": name, "tenant": DEMO, "customer_id": "C100", "question": question}
        ticket = classify(Ticket.read(said), manifest.intake_bundle).ticket
        case = await self.house.intake.submit(sign(ticket, key, datetime.now(UTC)), self.helpdesk)
        asked = PlanContext(case, run=1, step=1, left=manifest.limits())
        return (await self.reader.read(question, offers, asked)).answer


@asynccontextmanager
async def policy_reader(home: Home, url: str, *, read: bool) -> AsyncIterator[PolicyReader | None]:
    if not read:
        yield None
        return
    async with open_house(home, url) as house:
        models = house.driver.services.models
        if models is None or models.evidence_reader is None:
            raise NoModel(
                "no model reads the policy: COUNTERSIGN_MANIFEST names one under models.cite (docs/models.md)"
            )
        helpdesk = await sign_in(house.desk_books, demo_tokens(home)["demo-helpdesk"])
        yield PolicyReader(house, models.evidence_reader, helpdesk)
