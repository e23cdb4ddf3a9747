"""What the functions of the books answer to a role: of the tenant of its session, and of no other."""

import psycopg
from stage import Stage

GUARDED = (
    "books.settled_as('demo', %(decision)s)",
    "books.left_of_payment('demo', 'pay_D300')",
    "nullif(books.is_ours('demo', %(refund)s), false)",
    "nullif(books.made_elsewhere('demo', 'pay_D300'), 0)",
    "nullif((select count(*) from books.units_of('demo', %(proposal)s)), 0)",
)
"""What the roles may ask beside the rows that they see, each with an answer in the tenant and NULL outside of it."""


async def test_what_a_role_asks_of_another_tenant_has_no_answer(stage: Stage) -> None:
    await stage.ordered()
    await stage.finish()
    await stage.sql(
        """update books.orders set refunds = '[{"refund_id": "re_x", "payment_id": "pay_D300", "amount_minor": 1, "lines": []}]'"""
        " where order_id = 'D300'"
    )
    [row] = await stage.sql(
        "select d.decision_id as decision, d.proposal_id as proposal, s.provider_refund_id as refund"
        " from books.disbursements d join books.settlements s using (tenant, decision_id)"
    )
    async with await psycopg.AsyncConnection.connect(
        stage.house.home.role_url("desk", stage.url)
    ) as connection:
        for tenant, silent in (("demo", False), ("rival", True), ("", True)):
            await connection.execute("select set_config('books.tenant', %s, false)", (tenant,))
            for asked in GUARDED:
                cursor = await connection.execute(f"select {asked}", row)
                found = await cursor.fetchone()
                assert found is not None
                assert (found[0] is None) is silent, (asked, tenant)
