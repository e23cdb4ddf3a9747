"""The peer: `create_agent` with `HumanInTheLoopMiddleware` and `AsyncPostgresSaver`, as its documentation has it.

Its tools answer at once and read nothing, and its refund is one row with a key: less than the product does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from evals.bench.model import PROMPT, REPLY, ScriptedChat

QUESTION = "My tablet arrived cracked. I want a refund, please."
LEDGER = """
create table if not exists peer_ledger (
  thread text primary key, order_id text not null, amount_minor bigint not null)
"""
SCRIPT: list[tuple[str, dict[str, Any]]] = [
    ("get_policy_evidence", {"question": QUESTION}),
    ("lookup_order", {"order_id": "D300"}),
    ("draft_reply", {"text": REPLY}),
    ("issue_refund", {"order_id": "D300", "amount_minor": 7_900}),
]

Durability = Literal["async", "sync", "exit"]


@dataclass(frozen=True)
class Peer:
    """The agent on a pool of its own."""

    name: str
    agent: Any
    durability: Durability

    def _config(self, ticket: str) -> RunnableConfig:
        return {"configurable": {"thread_id": f"{self.name}-{ticket}"}}

    async def pause(self, ticket: str) -> None:
        asked = {"messages": [{"role": "user", "content": QUESTION}]}
        said = await self.agent.ainvoke(asked, self._config(ticket), durability=self.durability)
        assert said["__interrupt__"], "the peer did not pause"  # noqa: S101

    async def resume(self, ticket: str) -> None:
        yes: Command[Any] = Command(resume={"decisions": [{"type": "approve"}]})
        said = await self.agent.ainvoke(yes, self._config(ticket), durability=self.durability)
        assert said["messages"][-1].content == "Done.", "the peer did not end"  # noqa: S101


@asynccontextmanager
async def open_peers(url: str, size: int) -> AsyncIterator[list[Peer]]:
    """The peer with its own default durability and with `exit`, on a database."""
    kwargs = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        url,
        kwargs=kwargs,
        connection_class=AsyncConnection[DictRow],
        min_size=size,
        max_size=size,
        open=False,
    )
    async with pool:
        async with pool.connection() as connection:
            await connection.execute(LEDGER)
        saver = AsyncPostgresSaver(pool)
        await saver.setup()

        @tool
        def get_policy_evidence(question: str) -> str:
            """Approved policy."""
            return f"Damaged electronics may be returned for a full refund within 30 days of delivery. ({question})"

        @tool
        def lookup_order(order_id: str) -> str:
            """The order."""
            return f"{order_id}: Tablet, 79.00 USD, delivered 12 days ago, card 4242"

        @tool
        def draft_reply(text: str) -> str:
            """A draft."""
            return text

        @tool
        async def issue_refund(order_id: str, amount_minor: int, config: RunnableConfig) -> str:
            """Money back."""
            thread = config["configurable"]["thread_id"]
            async with pool.connection() as connection:
                await connection.execute(
                    "insert into peer_ledger values (%s, %s, %s) on conflict do nothing",
                    (thread, order_id, amount_minor),
                )
            return "ordered"

        agent = create_agent(
            ScriptedChat(script=SCRIPT),
            [get_policy_evidence, lookup_order, draft_reply, issue_refund],
            system_prompt=PROMPT,
            middleware=[HumanInTheLoopMiddleware(interrupt_on={"issue_refund": True})],
            checkpointer=saver,
        )
        yield [Peer("A", agent, "async"), Peer("A_exit", agent, "exit")]
