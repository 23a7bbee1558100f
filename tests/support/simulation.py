"""A deterministic simulation of the whole engine: virtual time, seeded chance, crashes at any commit.

Nothing here sleeps: when no callback is ready, time jumps to the next timer. The database is SQLite in
memory; a commit takes a seeded, virtual latency, and a crash throws the engine away between two
callbacks, as a power cut would. The same seed gives the same run, so a failing one can be looked at.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from flowfuse.clock import Clock, Ids, Timer, id_text
from flowfuse.data.breakers import BreakerRepository
from flowfuse.data.database import Database, Settled, Write, connect, deliver, migrate
from flowfuse.data.executions import LISTED, ExecutionRepository, as_execution
from flowfuse.data.follow_ups import FollowUpRepository
from flowfuse.data.workflows import Content, WorkflowRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.executor import NodeExecutor
from flowfuse.engine.history import History
from flowfuse.engine.plan import Plan
from flowfuse.engine.queue import QueueManager
from flowfuse.engine.run import Run
from flowfuse.engine.state import StateManager
from flowfuse.events import EventBus
from flowfuse.model import TERMINAL, Event, Execution, ExecutionDetail, State, Value, Workflow
from flowfuse.node import Catalogue
from flowfuse.nodes import described
from tests.support.effects import DetachedNode, EffectNode, Ledger

T = TypeVar("T")
MIGRATIONS = Path(__file__).parents[2] / "migrations"
BEGIN_US = 1_790_000_000_000_000
WORKSPACE = "main"
_names = itertools.count()


class Crash(SystemExit):
    """The process dies here. (asyncio lets a SystemExit through at once.)"""


class Stuck(AssertionError):
    """Nothing is ready and no timer is set, although something is waited for."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time is a number."""

    def __init__(self, begin: float = 0.0) -> None:
        super().__init__()
        self._virtual = begin
        self.dead = False
        self._selector = self
        self._clock_resolution = 1e-7
        self.set_exception_handler(self._broke)
        self.faults: list[BaseException] = []

    def time(self) -> float:
        return self._virtual

    def select(self, timeout: float | None) -> list[Any]:
        """Stands for the selector: no sockets, only time."""
        if timeout is None:
            raise Stuck("nothing is ready, and no timer is set")
        self._virtual += timeout
        return []

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits in another thread."""

    def _broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(context.get("exception") or AssertionError(context["message"]))

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.dead:
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if self.dead:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def _check_closed(self) -> None:
        """What is left of a dead process may still ask, while its memory is taken back."""

    def throw_away(self) -> None:
        """Forget every task where it stands; what they do while they are taken back reaches nobody."""
        self.dead = True
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine: Any = task.get_coro()
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()


class SimulatedClock(Clock):
    """Wall clock and monotonic time of a virtual loop. Looking at it may take a moment (`haste`)."""

    def __init__(self, loop: VirtualLoop, random: Random, slowness: float) -> None:
        self.loop, self._random, self._slowness = loop, random, slowness
        self._passed = 0.0

    def now_us(self) -> int:
        return BEGIN_US + round(self.loop.time() * 1e6)

    def perf(self) -> float:
        if self._slowness:
            self._passed += self._random.random() * self._slowness
        return self.loop.time() + self._passed

    def call_at(self, when_us: int, callback: Callable[[], None]) -> Timer:
        return self.loop.call_at((when_us - BEGIN_US) / 1e6, callback)


class SimulatedCarrier:
    """The writer on the loop: batches form while a commit is under way, as with the real thread."""

    def __init__(self, world: World, loop: VirtualLoop) -> None:
        self._world, self._loop = world, loop
        self._waiting: list[Write] = []
        self._busy = False
        self._commit: Callable[[list[Write]], Settled] | None = None

    def start(self, commit: Callable[[list[Write]], Settled]) -> None:
        self._commit = commit

    def submit(self, write: Write) -> None:
        self._waiting.append(write)
        if not self._busy:
            self._busy = True
            # The thread takes what is there when it wakes up, a moment later.
            self._loop.call_later(self._world.latency(0.0001), self._take)

    def _take(self) -> None:
        batch, self._waiting = self._waiting, []
        self._loop.call_later(self._world.latency(0.002), self._run, batch)

    def _run(self, batch: list[Write]) -> None:
        assert self._commit is not None
        self._world.before_commit()
        settled = self._commit(batch)
        self._world.after_commit()
        self._loop.call_later(self._world.latency(0.0001), self._deliver, settled)
        if self._waiting:
            self._take()
        else:
            self._busy = False

    def _deliver(self, settled: Settled) -> None:
        deliver(settled)
        if self._world.watch is not None and self._world.watch():
            self._loop.stop()

    async def stop(self) -> None:
        while self._busy:
            await asyncio.sleep(0.001)


class SimulatedReaders:
    """Reads beside the writer, in the same thread, with a seeded delay before and after."""

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._connection = world.connect(path)

    async def rows(self, sql: str, parameters: tuple[Any, ...]) -> list[sqlite3.Row]:
        await asyncio.sleep(self._world.latency(0.0003))
        self._world.queries.add(sql)
        found = self._connection.execute(sql, parameters).fetchall()
        await asyncio.sleep(self._world.latency(0.0003))
        return found

    async def close(self) -> None:
        self._connection.close()


class NoSecrets:
    """A vault without credentials."""

    async def open(self, workspace: str, name: str) -> Any:
        raise KeyError(name)

    def redact(self, value: Value, credential: Any) -> Value:
        return value

    def seal_log(self, workspace: str, data: bytes) -> bytes:
        return data[::-1]

    def open_log(self, workspace: str, data: bytes) -> bytes:
        return data[::-1]


class World:
    """What outlives a crash: the database, the ledger of effects, and time."""

    def __init__(
        self,
        seed: int = 0,
        *,
        slowness: float = 0.0,
        max_running: int = 200,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.slowness, self.max_running = slowness, max_running
        self.ledger = Ledger()
        self.queries: set[str] = set()
        self.commits = 0
        self.watch: Callable[[], bool] | None = None
        self.crash_at: tuple[int, str] | None = None
        self.fail_commits: set[int] = set()
        self._now = 0.0
        self._uri = f"file:/simulation-{next(_names)}?vfs=memdb"
        self._keeper = self.connect(Path(self._uri))
        _TEMPLATE.copy_to(self._keeper)
        self.engine: Engine | None = None

    @property
    def loop(self) -> VirtualLoop:
        assert self.engine is not None
        return self.engine.loop

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection to the memory that stands for the file."""
        connection = sqlite3.connect(self._uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def latency(self, most: float) -> float:
        """How long something takes this time."""
        return self.random.random() * most

    def boot(self) -> Engine:
        """Start an engine on what is there."""
        engine = self.engine = Engine(self, VirtualLoop(self._now))
        engine.open()
        return engine

    def crash_on(self, commit: int, when: str = "after") -> None:
        """Let the process die `before` or `after` the nth commit from now."""
        self.crash_at = (self.commits + commit, when)

    def before_commit(self) -> None:
        self.commits += 1
        if self.crash_at == (self.commits, "before"):
            raise Crash
        if self.commits in self.fail_commits:
            assert self.engine is not None
            database = self.engine.database
            good = database._connection or self.connect(database.path)
            database._connection = _Failing(good)  # type: ignore[assignment]

    def after_commit(self) -> None:
        if self.crash_at == (self.commits, "after"):
            raise Crash

    def crash(self) -> None:
        """The engine is gone; what was committed stays."""
        if self.engine is None:
            return
        engine, self.engine = self.engine, None
        self._now = engine.loop.time() + 0.5
        self.crash_at = None
        engine.throw_away()

    def shut_down(self, grace: float = 5.0) -> None:
        """The engine ends in an orderly way."""
        assert self.engine is not None
        engine = self.engine
        engine.do(engine.controller.drain(grace))
        self._now = engine.loop.time() + 0.5
        engine.throw_away()
        self.engine = None

    def reboot(self) -> Engine:
        """A crash, and a new start."""
        self.crash()
        return self.boot()

    def rows(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """Look into the database, as a person with a shell would."""
        return self._keeper.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """End it all."""
        self.crash()
        self._keeper.close()


class Engine:
    """One life of the process."""

    def __init__(self, world: World, loop: VirtualLoop) -> None:
        self.world, self.loop = world, loop
        self.clock = SimulatedClock(loop, world.random, world.slowness)
        self.database = Database(
            Path(world._uri),
            MIGRATIONS,
            SimulatedCarrier(world, loop),
            connect=world.connect,
            readers=lambda path: SimulatedReaders(world, path),
        )
        self.executions = ExecutionRepository(self.database)
        self.workflows = WorkflowRepository(self.database, self.clock, _no_edits)
        self.bus = EventBus()
        self.state = StateManager(self.executions, NoSecrets())
        EffectNode.ledger, EffectNode.clock = world.ledger, self.clock
        self.catalogue = CATALOGUE
        self.queue = QueueManager(self.database)
        self.controller = ExecutionController(
            clock=self.clock,
            ids=Ids(self.clock, world.random.randbytes),
            random=world.random.random,
            bus=self.bus,
            executions=self.executions,
            workflows=self.workflows,
            follow_ups=FollowUpRepository(self.database),
            breakers=BreakerRepository(self.database),
            queue=self.queue,
            state=self.state,
            executor=NodeExecutor(self.clock, NoSecrets(), self._offload),
            catalogue=self.catalogue,
            max_running=world.max_running,
        )
        # A plan never changes, so the lives of all processes may share them; it saves compiling.
        self.controller._plans = _PLANS
        self.history = History(self.executions, self.workflows, self.state, self.controller)
        self.worker: asyncio.Task[None] | None = None

    async def _offload(self, function: Callable[[], Any]) -> Any:
        await asyncio.sleep(self.world.latency(0.01))
        return function()

    def open(self) -> None:
        """Start, as the application's lifespan does."""

        async def begin() -> None:
            await self.database.open()
            await self.controller.open()
            self.worker = self.loop.create_task(self.controller.work())

        self.do(begin())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Let virtual time pass until `work` is done. Raises Crash where the process dies meanwhile."""
        task = self.loop.create_task(work)
        task.add_done_callback(lambda _: self.loop.stop())
        self._run_loop()
        return task.result()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start something beside; time has to be let pass for it."""
        return self.loop.create_task(work)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        timer = self.loop.call_later(seconds, self.loop.stop)
        try:
            self._run_loop()
        finally:
            timer.cancel()

    def _run_loop(self) -> None:
        self.loop.run_forever()
        if self.loop.faults:
            raise self.loop.faults[0]

    def throw_away(self) -> None:
        """Forget the process where it stands."""
        self.loop.throw_away()

    def freeze(self, workflow: Workflow) -> Content:
        """Keep a document's content."""
        return self.do(self.workflows.freeze(WORKSPACE, workflow))

    def start(
        self,
        workflow: Workflow,
        value: Value = None,
        *,
        trigger: str | None = None,
        mode: str = "production",
        hurry: bool = True,
    ) -> Run:
        """Begin a run; it is not accepted yet."""
        content = self.freeze(workflow)
        chosen = trigger or self.controller.plan(content).triggers[0].id
        plan = self.controller.plan(content)
        name = workflow.id or "anonymous"
        holder: list[Run] = []

        async def begin() -> None:
            start = self.controller.start
            holder.append(start(WORKSPACE, name, content.id, plan, chosen, value, mode=mode, hurry=hurry))

        self.do(begin())
        return holder[0]

    def finish(self, raw: bytes, limit: float = 3600.0) -> Execution:
        """Let time pass until a run has reached a terminal state."""
        return self.until(raw, lambda found: State[found.state] in TERMINAL, limit)

    def until(self, raw: bytes, holds: Callable[[Execution], bool], limit: float = 3600.0) -> Execution:
        """Let time pass until the stored run is as wanted."""

        def reached() -> bool:
            found = self.stored(raw)
            return found is not None and holds(found)

        if not reached():
            self.world.watch = reached
            try:
                self.advance(limit)
            finally:
                self.world.watch = None
        found = self.stored(raw)
        if found is None or not holds(found):
            raise Stuck(f"{found} does not come to what is waited for")
        return found

    def stored(self, raw: bytes) -> Execution | None:
        """The committed row of a run."""
        rows = self.world.rows(f"SELECT {LISTED} FROM executions WHERE id = ?", raw)
        return as_execution(rows[0]) if rows else None

    def detail(self, raw: bytes) -> ExecutionDetail:
        """A run as the page shows it."""
        return self.do(self.history.detail(WORKSPACE, id_text(raw)))

    def events(self, raw: bytes) -> list[Event]:
        """The numbered events of a run."""

        async def read() -> list[Event]:
            plan = await self.history.plan(WORKSPACE, id_text(raw))
            return await self.state.events(WORKSPACE, id_text(raw), 0, plan)

        return self.do(read())

    def order(self, kind: str, raw: bytes) -> None:
        """pause, resume or cancel, until it is committed."""
        order: Callable[[str, str], Awaitable[None]] = getattr(self.controller, kind)

        async def give() -> None:
            await order(WORKSPACE, id_text(raw))

        self.do(give())

    def quiet(self) -> bool:
        """Whether no run is in memory."""
        return not self.controller.runs


EFFECT = EffectNode()
CATALOGUE = Catalogue([*described(), EFFECT, DetachedNode()])
"""All real node types, and the effect that the ledger counts."""
_PLANS: dict[bytes, Plan] = {}


class _Failing:
    """A connection whose disk is full."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Template:
    """An empty database of the newest schema, made once."""

    def __init__(self) -> None:
        self._source: sqlite3.Connection | None = None

    def copy_to(self, target: sqlite3.Connection) -> None:
        if self._source is None:
            self._source = connect(Path(":memory:"))
            migrate(self._source, MIGRATIONS)
        self._source.backup(target)


_TEMPLATE = _Template()


def _no_edits(document: dict[str, Any], versions: dict[str, int], seq: int) -> Any:
    raise AssertionError("nobody edits drafts in a simulation")
