"""Who may do what on the server API: a token of its own audience, one tenant's threads, a first run, an answer.

An answer is not written here. The hook asks the desk with the caller's own credential, and only its yes starts the run.
"""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langgraph_sdk import Auth
from starlette.exceptions import HTTPException

from graph.server.allowlist import CLAIMED, CREDENTIAL, STARTS
from graph.server.answers import UnreadableAnswer, read_persons_answer
from graph.server.desk_call import Caller, DeskSaysNo
from graph.server.resources import the_resources
from graph.server.thread_rows import expect_no_run, expect_run, made_by
from records.cases import thread_case
from refunds.ids import CaseId, TenantId, ThreadId
from refunds.ticket import BadTicket, Ticket

auth = Auth()

log = logging.getLogger("countersign.graph")

Context = Auth.types.AuthContext

SECOND_INPUT = "not allowed here: a second input; this thread has its case"


def _refuse(status: int, detail: str) -> HTTPException:
    return HTTPException(status, detail)


@auth.authenticate
async def authenticate(headers: dict[bytes, bytes]) -> Auth.types.MinimalUserDict:
    """The person of the caller's token; nothing that the caller says of themselves counts."""
    del headers  # the allowlist has read the token
    token = CREDENTIAL.get("")
    if not token:
        raise Auth.exceptions.HTTPException(status_code=401, detail="no token of the server API")
    try:
        caller = await the_resources().desk.who(token)
    except DeskSaysNo as no:
        if no.status in {401, 403}:
            raise Auth.exceptions.HTTPException(status_code=401, detail=no.detail) from None
        raise _refuse(no.status, no.detail) from None
    return {
        "identity": caller.person,
        "display_name": caller.person,
        "is_authenticated": True,
        "permissions": sorted(caller.scopes),
    }


async def _caller() -> Caller:
    try:
        return await the_resources().desk.who(CREDENTIAL.get(""))
    except DeskSaysNo as no:
        raise _refuse(no.status, no.detail) from None


def _filter(caller: Caller) -> dict[str, Any]:
    """Threads of the caller's tenants."""
    tenants = sorted(caller.tenants)
    if not tenants:
        raise _refuse(403, "no tenant")
    if len(tenants) == 1:
        return {"tenant": tenants[0]}
    return {"$or": [{"tenant": tenant} for tenant in tenants]}


async def _bound(thread_id: UUID) -> tuple[TenantId, CaseId] | None:
    async with the_resources().books.transaction() as tx:
        return await thread_case(tx, thread_id)


@auth.on
async def deny(ctx: Context, value: Any) -> bool:  # noqa: ANN401
    """What has no rule of its own is refused."""
    del ctx, value
    return False


@auth.on.assistants.read
async def read_assistant(ctx: Context, value: Any) -> bool:  # noqa: ANN401
    """The graph is no secret among those who may sign in."""
    del ctx, value
    return True


@auth.on.assistants.search
async def search_assistants(ctx: Context, value: Any) -> bool:  # noqa: ANN401
    """Assistants are listed to whoever may read them."""
    del ctx, value
    return True


@auth.on.threads.search
async def search_threads(ctx: Context, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Threads of the caller's tenants and of nobody else."""
    del ctx, value
    caller = await _caller()
    await _follow()
    return _filter(caller)


async def _follow() -> None:
    """Where workers drive, this process hears of nothing by itself."""
    resources = the_resources()
    if resources.settings.runner == "workers":
        await resources.rows.follow()


@auth.on.threads.read
async def read_thread(ctx: Context, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """A thread of the caller's tenants; one that this process has no row of is brought back from the books."""
    del ctx
    caller = await _caller()
    thread_id = value.get("thread_id")
    bound = await _bound(UUID(str(thread_id))) if thread_id else None
    if bound is not None:
        if bound[0] not in caller.tenants:
            raise _refuse(404, f"Thread with ID {thread_id} not found")
        await _follow()
        await the_resources().rows.bring_back(*bound, ThreadId(UUID(str(thread_id))))
    return _filter(caller)


@auth.on.threads.create
async def create_thread(ctx: Context, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """A thread of one of the caller's tenants; one that a case of another tenant is bound to is nobody's to create."""
    del ctx
    caller = await _caller()
    metadata = value["metadata"]
    wanted = metadata.get("tenant")
    allowed = sorted(caller.submits)
    tenant = TenantId(wanted) if wanted else (allowed[0] if len(allowed) == 1 else None)
    bound = await _bound(UUID(str(value["thread_id"])))
    if bound is not None:
        tenant = bound[0]
    if tenant is None:
        raise _refuse(403, "metadata.tenant: say which of your tenants")
    if tenant not in caller.submits or "tickets:write" not in caller.scopes:
        raise _refuse(403, f"{caller.person} submits no tickets for {tenant}")
    the_resources().rows.trim()
    metadata.clear()
    metadata.update(made_by(tenant, caller.person))
    return _filter(caller)


@auth.on.threads.create_run
async def create_run(ctx: Context, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """One first run with a ticket on a thread that has none, or an answer at a pause."""
    del ctx
    caller = await _caller()
    asked = value["kwargs"]
    if (
        value.get("thread_id") is None
        or asked.get("temporary")
        or asked["config"]["configurable"].get("checkpoint_id")
    ):
        raise _refuse(403, "not allowed here: a run without a thread, or from a checkpoint")
    thread_id = ThreadId(UUID(str(value["thread_id"])))
    bound = await _bound(thread_id)
    command = asked.get("command") or {}
    asked["durability"] = "sync"
    if not command:
        await _is_new(thread_id, bound)
        _first_run(caller, thread_id, bound, asked.get("input"))
        return _filter(caller)
    if STARTS.get():
        raise _refuse(403, SECOND_INPUT)
    if set(command) - {"resume"} or asked.get("input") is not None:
        raise _refuse(403, "not allowed here: more than a resume")
    if bound is None or bound[0] not in caller.tenants:
        raise _refuse(404, f"Thread with ID {thread_id} not found")
    if "cases:decide" not in caller.scopes:
        raise _refuse(403, f"{caller.person} decides nothing here: this token is not for cases:decide")
    # Make the row first: the desk must not record an answer to a thread that the server then reports as missing.
    await the_resources().rows.bring_back(*bound, thread_id)
    await _answer(thread_id, bound, command.get("resume"), caller)
    return _filter(caller)


async def _is_new(thread_id: ThreadId, bound: tuple[TenantId, CaseId] | None) -> None:
    """Refuse a first input on a thread that has run before, also where its row has left: it may be somebody else's."""
    if bound is None and the_resources().rows.row(thread_id) is None:
        before = await the_resources().driver.graph.aget_state(
            {"configurable": {"thread_id": str(thread_id)}}
        )
        if before.values or before.next:
            raise _refuse(403, SECOND_INPUT)


def _first_run(
    caller: Caller,
    thread_id: ThreadId,
    bound: tuple[TenantId, CaseId] | None,
    given: Any,  # noqa: ANN401
) -> None:
    """There is no await between this check and the run, so that a thread has exactly one first run."""
    row = the_resources().rows.row(thread_id)
    if bound is not None or (row is not None and the_resources().rows.has_run(thread_id)):
        raise _refuse(403, SECOND_INPUT)
    try:
        ticket = Ticket.read(given.get("ticket") if isinstance(given, dict) else None)
    except BadTicket as error:
        raise _refuse(422, f"input.ticket: {error}") from None
    if ticket.tenant not in caller.submits or "tickets:write" not in caller.scopes:
        raise _refuse(403, f"input.ticket.tenant: {caller.person} submits no tickets for it")
    if row is not None and row["metadata"].get("tenant") != ticket.tenant:
        raise _refuse(403, "input.ticket.tenant: this thread was made for another tenant")
    if row is None:
        the_resources().rows.trim()
        the_resources().rows.make(thread_id, TenantId(ticket.tenant), caller.person)


async def _answer(
    thread_id: ThreadId,
    bound: tuple[TenantId, CaseId],
    resume: Any,  # noqa: ANN401
    caller: Caller,
) -> None:
    """Make the answer a decision at the desk; HTTPException where it says no, and the thread stays as it was."""
    tenant, case_id = bound
    resources = the_resources()
    snapshot = await resources.driver.graph.aget_state({"configurable": {"thread_id": str(thread_id)}})
    if CLAIMED.get() - {snapshot.config["configurable"].get("checkpoint_id")}:
        raise _refuse(
            403,
            "not allowed here: a run from a checkpoint that is not the last one; the case has moved on: look again",
        )
    try:
        read = read_persons_answer(resume)
    except UnreadableAnswer as error:
        await _note_unread(case_id, thread_id, str(error))
        raise _refuse(422, str(error)) from None
    if read.pause_id is not None and read.pause_id not in {pause.id for pause in snapshot.interrupts}:
        raise _refuse(409, "the thread does not wait at that pause: look again")
    shown = [pause.value for pause in snapshot.interrupts if isinstance(pause.value, dict)]
    if read.shown is not None and not any(_is_of(read.shown, value) for value in shown):
        raise _refuse(422, "args: a change is made at the desk")
    if read.answer is None:
        async with resources.books.transaction(tenant) as tx:
            row = await tx.row("decision_by_id", decision_id=_uuid(read.decision_id or ""))
        if row is None or row["case_id"] != case_id or "cases:decide" not in caller.scopes:
            raise _refuse(403, "decision_id: no decision of this case")
        return
    expect_run(thread_id)
    try:
        await resources.desk.decide(CREDENTIAL.get(""), case_id, thread_id, read.answer)
    except BaseException as error:
        expect_no_run(thread_id)
        if isinstance(error, DeskSaysNo):
            raise _refuse(error.status, error.detail) from None
        raise


async def _note_unread(case_id: CaseId, thread_id: ThreadId, why: str) -> None:
    """Have the desk write down that an answer could not be read; the case stays where it was in any case."""
    try:
        await the_resources().desk.note_unread(CREDENTIAL.get(""), case_id, thread_id, why)
    except DeskSaysNo as no:
        log.info("an unreadable answer was not written down: %s", no)


def _is_of(said: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Whether an answer says back what its pause shows."""
    there = shown.get("action_request", {})
    return dict(said) in (there, there.get("args"))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _refuse(422, "decision_id: not a UUID") from None
