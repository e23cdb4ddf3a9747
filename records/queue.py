"""The doorbell: a job in the same transaction as the row that needs it."""

from records.books import Page
from refunds.canonical import canonical
from refunds.ids import CaseId, TenantId

DRIVE = "drive_case"
"""The task of the runner that takes a case on."""


async def ring(page: Page, tenant: TenantId, case_id: CaseId) -> None:
    """Ask the runner to look at a case; taken back with the transaction if it does not commit."""
    await page.rows(
        "defer_job",
        task=DRIVE,
        lock=f"case:{case_id}",
        args=canonical({"tenant": tenant, "case_id": str(case_id)}),
    )
