"""A node type with effects for tests: it keeps a ledger of what it did to the world."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.errors import NodeFailed, RemoteError
from flowfuse.node import NodeType, Output, Params, RunContext, form


class Entry(Struct):
    """One time that an effect left."""

    execution: str
    node: str
    key: str
    attempt: int
    value: Any
    at_us: int
    effect: bool = True
    ended: bool = False
    stopped: bool = False


class Ledger:
    """Everything that effects did, in order; it outlives crashes, as the world does."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def of(self, node: str) -> list[Entry]:
        """What one node did."""
        return [entry for entry in self.entries if entry.node == node]

    def keys(self) -> set[str]:
        """The identities of all effects that left."""
        return {entry.key for entry in self.entries}


class EffectParams(Params, frozen=True):
    """What the effect gives, how long it takes, and which of its attempts fail."""

    value: Annotated[Any, form("Value")] = None
    seconds: Annotated[float, form("Takes")] = 0.0
    fails: Annotated[int, form("Failing attempts")] = 0
    failure: Annotated[Literal["remote", "refused", "defect"], form("How it fails", kind="plain")] = "remote"
    retry_after: Annotated[float | None, form("Retry-After", kind="plain")] = None
    slow_attempts: Annotated[int, form("Attempts that take an hour", kind="plain")] = 0


class Refused(NodeFailed):
    """A failure that is not repeated."""

    code = "stopped"


class EffectNode(NodeType):
    type = "test.effect"
    title = "Effect"
    summary = "Does something to the world."
    effects = True
    params = EffectParams

    ledger: Ledger
    clock: Clock

    async def run(self, params: Any, context: RunContext) -> Output:
        entry = Entry(
            context.execution,
            context.node,
            context.idempotency_key(),
            context.attempt,
            params.value,
            self.clock.now_us(),
            self.effects,
        )
        self.ledger.entries.append(entry)
        try:
            await asyncio.sleep(3600.0 if context.attempt <= params.slow_attempts else params.seconds)
        except asyncio.CancelledError:
            entry.stopped = True
            raise
        entry.ended = True
        if context.attempt <= params.fails:
            raise _failure(params)
        return Output("main", params.value)


class DetachedNode(EffectNode):
    """The same, but pure and worked out elsewhere: it may run again, and its start is not recorded."""

    type = "test.detached"
    title = "Detached"
    summary = "Works something out elsewhere."
    effects = False
    detached = True


def _failure(params: EffectParams) -> Exception:
    if params.failure == "remote":
        error = RemoteError(method="POST", host="test", status=503, detail="")
        error.retry_after = params.retry_after
        return error
    if params.failure == "refused":
        return Refused(reason="refused")
    return ValueError("a defect in a node")
