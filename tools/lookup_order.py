"""Order facts: the order that the case names, as the shop's books hold it.

Postgres shows the rows of the case's tenant and customer only; another customer's order is not there.
"""

from records.books import Reads
from records.orders import order_facts
from refunds.ids import OrderId
from refunds.order import OrderFacts


async def lookup_order(reads: Reads, order_id: str, of_case: OrderId | None) -> OrderFacts | None:
    """The order, if it is the one of the case; None otherwise."""
    if order_id != of_case:
        return None
    return await order_facts(reads, order_id)
