"""CodeRunner: runs and checks users' code in a pool of confined workers (the only door to pydantic_monty).

A worker is a process of its own: what goes wrong in it, an endless loop or a list of 10 GB, ends there.
It is given a fresh session for each run and nothing of the host but its inputs and a few functions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from flowfuse.errors import CodeError, NodeTimeout
from flowfuse.model import Value, json_bytes
from flowfuse.sandbox.values import MAX_PARTS, TooMany, plain

log = logging.getLogger("flowfuse.sandbox")

DEFAULT_SECONDS = 5.0
MAX_MEMORY = 128 * 1024 * 1024
MAX_PRINTED = 64 * 1024
"""Characters of print() that are kept of one run."""
MAX_SOURCE = 200_000
MAX_HOST_CALLS = 10_000
WORKERS = max(4, os.cpu_count() or 4)
RUNS_PER_WORKER = 10_000
CHECK_SECONDS = 2.0
GRACE_SECONDS = 1.0
"""How long after its time a worker may still say so itself before it is killed."""
LARGE_INPUT = 16_384
"""Inputs of more bytes go in as JSON text: as objects they would hold up the event loop."""
QUICK_PARTS = 20_000
"""A result with more parts is not gone through on the event loop."""
_CLOCK_OR_CHANCE = re.compile("import|eval|exec")
"""What a source needs to reach a clock or chance; without it a session may be older than the run."""
_REMEMBERED = 256
_STOP = "__checked__"
_EXCERPT = 200


class Diagnostic(msgspec.Struct, frozen=True):
    """Something in a source that will not work (`error`), or probably not (`warning`). Lines count from 1."""

    line: int
    column: int
    message: str
    severity: str = "error"


class CodeResult(msgspec.Struct, frozen=True):
    """What a run gave, and what it printed."""

    value: Value
    printed: str


class _WorkerLost(CodeError):
    """The worker died, for whatever reason; to whoever called it is a CodeError."""


class _Order(msgspec.Struct, frozen=True):
    """What is to be run."""

    source: str
    inputs: Mapping[str, Value]
    encoded: bytes
    timeout: float | None

    @property
    def fits_any_time(self) -> bool:
        """Whether a session does for it that was made before it, with the usual limit."""
        return self.timeout == DEFAULT_SECONDS and not _CLOCK_OR_CHANCE.search(self.source)


class _Prepared:
    """A session that is made before its code comes. It is used once, as what the pool lends is."""

    def __init__(self, lent: Any) -> None:
        self._lent = lent
        self._entered: asyncio.Future[Any] = asyncio.ensure_future(lent.__aenter__())

    @property
    def has_failed(self) -> bool:
        """Whether there is no session after all."""
        done = self._entered.done() and not self._entered.cancelled()
        return done and self._entered.exception() is not None

    async def __aenter__(self) -> Any:
        return await self._entered

    async def __aexit__(self, *raised: Any) -> None:
        await self._lent.__aexit__(*raised)


class CodeRunner:
    """Runs code; its workers are started when they are first needed."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._checker: Any = None
        self._opening, self._checking = asyncio.Lock(), threading.Lock()
        self._free = asyncio.Semaphore(WORKERS)
        self._clearings: set[asyncio.Task[None]] = set()
        self._prepared: _Prepared | None = None
        self._known: OrderedDict[str, Diagnostic | None] = OrderedDict()

    async def close(self) -> None:
        """End all workers."""
        while self._clearings:
            await asyncio.gather(*self._clearings)
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            with contextlib.suppress(self._package.MontyError):
                async with prepared:
                    pass
        pool, self._pool = self._pool, None
        checker, self._checker = self._checker, None
        if pool is not None:
            await pool.__aexit__(None, None, None)
        if checker is not None:
            checker.__exit__(None, None, None)

    async def run(
        self,
        source: str,
        inputs: Mapping[str, Value],
        *,
        timeout: float | None = DEFAULT_SECONDS,
        now_us: int | None = None,
        timezone: str = "UTC",
        seed: str = "",
    ) -> CodeResult:
        """Run a source with these globals. Raises CodeError and NodeTimeout, both with what was printed.

        The clock inside stands still at `now_us`, and chance follows from `seed`, so that running again
        gives the same. Waiting for a free worker does not count as time.
        """
        pool = await self._open()
        order = _Order(source, inputs, json_bytes(dict(inputs)), timeout)
        fresh = pool.checkout(**self._session(timeout, now_us, timezone, seed))
        await self._free.acquire()
        prepared = self._take_prepared() if order.fits_any_time else None
        if prepared is None:
            return await self._run_in(fresh, order)
        try:
            return await self._run_in(prepared, order)
        except _WorkerLost:
            # It may have died while it waited, which is not the code's fault.
            await self._free.acquire()
            return await self._run_in(fresh, order)

    def _take_prepared(self) -> _Prepared | None:
        prepared, self._prepared = self._prepared, None
        return None if prepared is None or prepared.has_failed else prepared

    async def _run_in(self, lent: Any, order: _Order) -> CodeResult:
        """Run in a session, with a place taken, which is free again when the session has ended."""
        printed, timeout = _Printed(), order.timeout
        try:
            async with asyncio.timeout(None if timeout is None else timeout + GRACE_SECONDS):
                session = await lent.__aenter__()
                given: Mapping[str, Any] = order.inputs
                if len(order.encoded) > LARGE_INPUT:
                    await _load(session, order.inputs, order.encoded)
                    given = {}
                result = await session.feed_run(order.source, inputs=given, print_callback=printed.take)
                return CodeResult(await self._plain(result), printed.text())
        except TimeoutError:
            raise NodeTimeout(seconds=timeout) from None
        except self._package.MontyError as error:
            raise _failure(error, order.source, timeout, self._package, printed) from None
        except CodeError as error:
            error.printed = printed.text()
            raise
        finally:
            # The result does not wait until the worker has forgotten everything.
            clearing = asyncio.get_running_loop().create_task(self._clear(lent, order))
            self._clearings.add(clearing)
            clearing.add_done_callback(self._clearings.discard)

    async def _clear(self, lent: Any, order: _Order) -> None:
        """Take a worker back, and prepare the next run; the pool replaces a worker that was lost."""
        try:
            await lent.__aexit__(None, None, None)
        except self._package.MontyError as error:
            log.info("A code worker was lost after its run: %s", error)
        finally:
            self._free.release()
        if self._prepared is None and order.fits_any_time and self._pool is not None:
            self._prepared = _Prepared(self._pool.checkout(**self._session(DEFAULT_SECONDS, None, "UTC", "")))

    async def _plain(self, result: Any) -> Value:
        """The result as a value; a large one is gone through in a worker thread."""
        try:
            return plain(result, self._package, QUICK_PARTS)
        except TooMany:
            pass
        try:
            return await asyncio.to_thread(plain, result, self._package)
        except TooMany:
            raise CodeError(reason=f"The result has more than {MAX_PARTS:,} parts") from None

    def problem(self, source: str) -> Diagnostic | None:
        """The first thing in a source that cannot be compiled; None where it can. Blocks for a moment."""
        with self._checking:
            if source in self._known:
                self._known.move_to_end(source)
                return self._known[source]
        found = self._compile(source)
        with self._checking:
            self._known[source] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def check(self, source: str, names: Iterable[str] = ()) -> list[Diagnostic]:
        """Everything that the checker finds: what cannot be compiled, and wrong types as warnings.

        `names` are the globals that the source gets. Blocks: for a worker thread.
        """
        first = self.problem(source)
        if first is not None:
            return [first]
        stubs = "".join(f"{name}: Any\n" for name in names)
        stubs = f"from typing import Any\n{stubs}def {_STOP}() -> None: ...\n"
        try:
            self._feed(source, type_check=True, type_check_format="json", type_check_stubs=stubs)
        except self._package.MontyTypingError as error:
            return _typing_diagnostics(error.display())
        except self._package.MontyError:
            pass
        return []

    def _compile(self, source: str) -> Diagnostic | None:
        if len(source) > MAX_SOURCE:
            return Diagnostic(1, 1, f"The code is longer than {MAX_SOURCE:,} characters")
        try:
            self._feed(source)
        except self._package.MontyError as error:
            return _diagnostic(error)
        return None

    def _feed(self, source: str, **options: Any) -> None:
        """Compile a source without running it: its first line is a call of something that is not there."""
        with self._checking:
            if self._checker is None:
                # Two, so that whoever is on the event loop does not wait for a longer check in a thread.
                checker = self._package.Monty(
                    binary_path=_command(), min_processes=1, max_processes=2, request_timeout=CHECK_SECONDS
                )
                self._checker = checker.__enter__()
        limits = {"max_feed_duration_secs": CHECK_SECONDS, "max_memory": MAX_MEMORY}
        with self._checker.checkout(limits=limits, **options) as session:
            session.feed_run(f"{_STOP}()\n{source}", print_callback=lambda *_: None)

    @property
    def _package(self) -> Any:
        import pydantic_monty

        return pydantic_monty

    async def _open(self) -> Any:
        async with self._opening:
            if self._pool is None:
                pool = self._package.AsyncMonty(
                    # One more than may run at once: it holds the prepared session.
                    binary_path=_command(), min_processes=1, max_processes=WORKERS + 1,
                    max_checkouts_per_worker=RUNS_PER_WORKER, feed_duration_limit_grace=GRACE_SECONDS,
                )  # fmt: skip
                self._pool = await pool.__aenter__()
        return self._pool

    def _session(self, timeout: float | None, now_us: int | None, timezone: str, seed: str) -> dict[str, Any]:
        from flowfuse.sandbox.modules import external_modules

        policy: dict[str, Any] = {"timezone": timezone, "sleep_system_max": float("inf")}
        if now_us is not None:
            policy["datetime"] = datetime.fromtimestamp(now_us / 1e6, UTC)
        if seed:
            policy["random_start"] = {"seed": seed}
        limits = {
            "max_feed_duration_secs": timeout, "max_memory": MAX_MEMORY, "max_suspensions": MAX_HOST_CALLS,
        }  # fmt: skip
        modules = external_modules(self._package, seed)
        return {"limits": limits, "os_policy": policy, "external_modules": modules}


def _command() -> str:
    from pydantic_monty._binary import find_monty_binary

    from flowfuse.sandbox.launch import worker_command

    return worker_command(find_monty_binary())


async def _load(session: Any, inputs: Mapping[str, Value], encoded: bytes) -> None:
    """Bind large inputs by a JSON text that is read inside."""
    lines = ["import json as __json", "__all = __json.loads(__all)"]
    lines += [f"{name} = __all[{name!r}]" for name in inputs]
    lines += ["__all = __json = None", "None"]
    await session.feed_run("\n".join(lines), inputs={"__all": encoded.decode()})


class _Printed:
    """What a run prints, as far as it is kept."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def take(self, stream: str, text: str) -> None:
        left = MAX_PRINTED - self._size
        if left > 0:
            self._parts.append(text[:left])
        self._size += len(text)

    def text(self) -> str:
        more = "\n… and more, which is not kept" if self._size > MAX_PRINTED else ""
        return "".join(self._parts).rstrip("\n") + more


def _failure(
    error: Any, source: str, timeout: float | None, monty: Any, printed: _Printed
) -> CodeError | NodeTimeout:
    """What went wrong inside, in the user's terms."""
    found: CodeError | NodeTimeout
    frames = error.traceback() if hasattr(error, "traceback") else []
    if isinstance(error, monty.MontyCrashedError):
        if error.timed_out:
            found = NodeTimeout(seconds=timeout)
        else:
            found = _WorkerLost(reason="The sandbox's worker died: the code took more than a worker may have")
    elif isinstance(error, monty.MontyConversionError):
        found = CodeError(reason=f"A value cannot leave the code: {error}")
    elif not frames and str(error).startswith("TimeoutError: feed time limit"):
        found = NodeTimeout(seconds=timeout)
    else:
        found = CodeError(reason=_sentence(error), **_place(frames, source))
    found.printed = printed.text()
    return found


def _sentence(error: Any) -> str:
    if not hasattr(error, "traceback"):
        return str(error)
    text: str = error.display("type-msg")
    if text.startswith("MemoryError: memory limit"):
        return f"MemoryError: the code used more than {MAX_MEMORY // 1024 // 1024} MB of memory"
    _, unsupported, what = text.partition("syntax parser does not yet support ")
    return f"The code node's Python does not have {what}" if unsupported else text


def _place(frames: list[Any], source: str) -> dict[str, Any]:
    """The innermost line of the user's own text."""
    own = [frame for frame in frames if frame.filename != "<string>"]
    if not own:
        return {}
    frame = own[-1]
    lines = source.splitlines()
    line = lines[frame.line - 1] if 0 < frame.line <= len(lines) else ""
    return {"line": frame.line, "column": frame.column, "excerpt": line.strip()[:_EXCERPT]}


def _diagnostic(error: Any) -> Diagnostic | None:
    """The error of a compilation; None where only the first line, ours, has failed."""
    frames = error.traceback() if hasattr(error, "traceback") else []
    if not frames:
        return Diagnostic(1, 1, f"The code cannot be checked: {error}")
    frame = frames[-1]
    if frame.line == 1:
        return None
    return Diagnostic(frame.line - 1, frame.column, _sentence(error))


_NOT_OURS = re.compile("outside of a function|outside of an async")


def _typing_diagnostics(text: str) -> list[Diagnostic]:
    found = []
    for each in msgspec.json.decode(text):
        place, message = each["location"], each["message"].replace("`", "")
        if place["row"] > 1 and not _NOT_OURS.search(message):
            found.append(Diagnostic(place["row"] - 1, place["column"], message, "warning"))
    return found
