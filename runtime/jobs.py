"""A process at work: it takes the jobs of its queue, keeps its routines, says that it lives, and outlives a database
that is away for a while.

A job that dies stays where everybody sees it until it is replayed or one of the same lock runs again. What a process
had in hand when it was killed is taken up by another as soon as its heartbeat is old.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from psycopg_pool import PoolTimeout

from records.books import Books, BooksAway, Row, Transaction
from records.connection import connection_string

log = logging.getLogger("countersign.jobs")

Task = Callable[..., Awaitable[object]]

HEARTBEAT_SECONDS = 2.0
STALLED_SECONDS = 8.0
"""A worker that was not heard from for so long is dead, and its jobs are others'."""

RESCUE_SECONDS = 5

GRACE_SECONDS = 12.0
"""What a job may still take after its process was told to stop."""


@dataclass(frozen=True)
class Routine:
    """A task that comes round by itself."""

    every_seconds: int
    run: Callable[[], Awaitable[object]]

    @property
    def cron(self) -> str:
        return (
            f"* * * * * */{self.every_seconds}"
            if self.every_seconds < 60
            else f"*/{self.every_seconds // 60} * * * *"
        )


@dataclass(frozen=True)
class Worker:
    """The jobs of one queue in one process."""

    books: Books
    url: str
    queue: str
    tasks: Mapping[str, Task] = field(default_factory=dict)
    routines: Mapping[str, Routine] = field(default_factory=dict)
    concurrency: int = 4
    dead: set[str] = field(default_factory=set)
    """Locks that have a dead job."""

    async def work(self, stop: asyncio.Event) -> None:
        """Take jobs until told to stop; what is in hand then is finished."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(stop))
            group.create_task(self._take(stop))

    async def _beat(self, stop: asyncio.Event) -> None:
        instance = f"{socket.gethostname()[:100]}:{os.getpid()}"
        while not stop.is_set():
            try:
                async with self.books.transaction() as tx:
                    await tx.rows("beat", instance=instance)
            except (BooksAway, psycopg.Error) as error:
                log.warning("the books are away: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), HEARTBEAT_SECONDS)

    async def _take(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._take_while_there(stop)
            except (ConnectorException, psycopg.Error, PoolTimeout, BooksAway) as error:
                log.warning("the queue is away: %s", str(error).splitlines()[0] if str(error) else error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1.0)

    async def _take_while_there(self, stop: asyncio.Event) -> None:
        app = self._app()
        async with app.open_async():
            working = asyncio.create_task(
                app.run_worker_async(
                    queues=[self.queue],
                    name=self.queue,
                    concurrency=self.concurrency,
                    fetch_job_polling_interval=1.0,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=GRACE_SECONDS,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=STALLED_SECONDS,
                )
            )
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                working.cancel()
                await asyncio.wait({working})
            if not working.cancelled():
                working.result()

    def _app(self) -> App:
        app = App(
            connector=PsycopgConnector(
                conninfo=connection_string(self.url), min_size=1, max_size=3, timeout=10.0
            )
        )
        for name, run in self.tasks.items():
            app.task(name=name, queue=self.queue, pass_context=True)(self._taken(run))
        for name, routine in self.routines.items():
            called = f"{self.queue}_{name}"
            self._register(app, called, routine, lock=called)
        rescue = Routine(RESCUE_SECONDS, lambda: self._try_to_rescue(app))
        self._register(app, f"{self.queue}_rescue", rescue, lock=None)
        return app

    def _register(self, app: App, called: str, routine: Routine, lock: str | None) -> None:
        task: Any = app.task(
            name=called, queue=self.queue, queueing_lock=called, lock=lock, pass_context=True
        )
        app.periodic(cron=routine.cron)(task(self._come_round(routine)))

    def _taken(self, run: Task) -> Callable[..., Awaitable[None]]:
        async def taken(context: JobContext, **args: Any) -> None:  # noqa: ANN401
            await self._forget_dead(context.job.lock)
            try:
                await run(**args)
            except BaseException as error:
                await self._note_dead(context, error)
                raise

        return taken

    def _come_round(self, routine: Routine) -> Callable[..., Awaitable[None]]:
        async def come_round(context: JobContext, timestamp: int) -> None:
            del timestamp
            await self._forget_dead(context.job.lock)
            try:
                await routine.run()
            except BaseException as error:
                await self._note_dead(context, error)
                raise

        return come_round

    async def _note_dead(self, context: JobContext, error: BaseException) -> None:
        """Say why a job died, beside the job. A job that is cut off by a stop goes on: nothing is said of it."""
        if context.job.lock:
            self.dead.add(context.job.lock)
        if not isinstance(error, Exception):
            return
        said = str(error).strip().splitlines()
        why = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
        with suppress(BooksAway, psycopg.Error, PoolTimeout):
            async with self.books.transaction() as tx:
                await tx.rows("insert_job_failure", job=context.job.id, why=why[:500])

    async def _forget_dead(self, lock: str | None) -> None:
        if lock in self.dead:
            async with self.books.transaction() as tx:
                await tx.rows("forget_dead_jobs", lock=lock)
            self.dead.discard(lock)

    async def _try_to_rescue(self, app: App) -> None:
        """It has no lock, because a dead worker may hold one, so it must not die itself."""
        try:
            await self._rescue(app)
        except Exception:
            log.exception("nothing was rescued this time; it is tried again")

    async def _rescue(self, app: App) -> None:
        """Take up what a dead worker had in hand, and learn which locks have dead jobs."""
        stalled = await app.job_manager.get_stalled_jobs(
            queue=self.queue, seconds_since_heartbeat=STALLED_SECONDS
        )
        for job in stalled:
            log.info("job %s of a worker that died is taken up", job.call_string)
            if job.queueing_lock:  # a routine comes round by itself
                await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)
            else:
                await app.job_manager.retry_job(job)
        async with self.books.transaction() as tx:
            await tx.rows("revive_aborted", queue=self.queue)
        dead = await app.job_manager.list_jobs_async(queue=self.queue, status="failed")
        # Only add: a job that dies at this moment is noted here before its row says so.
        self.dead.update(job.lock for job in dead if job.lock)


class NoSuchJob(Exception):
    """No dead job of that number, or another of its lock is under way: countersign queue --dead lists them."""

    def __init__(self) -> None:
        super().__init__((self.__doc__ or "").strip())


async def dead_jobs(tx: Transaction, most: int) -> list[Row]:
    """Jobs that died, the newest first."""
    return await tx.rows("dead_jobs", most=most)


async def revive(tx: Transaction, job: int) -> None:
    """Put a dead job back into its queue; NoSuchJob where it is not dead."""
    if not await tx.rows("replay_job", job=job):
        raise NoSuchJob
