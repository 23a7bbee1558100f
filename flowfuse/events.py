"""What happened, and the in-process EventBus. Events are published after their commit."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from flowfuse.model import State

log = logging.getLogger("flowfuse.events")


class ExecutionAdvanced(Struct, frozen=True):
    """A run has committed a segment (`data`, its records from `first_seq` on)."""

    workspace: str
    execution: bytes
    first_seq: int
    data: bytes
    plan: Any


class RunFinished(Struct, frozen=True):
    """A run has reached a terminal state. Times are UTC microseconds."""

    workspace: str
    workflow: str
    execution: bytes
    state: State
    created: int
    finished: int


class WorkflowChanged(Struct, frozen=True):
    """A workflow was saved, published, unpublished or deleted."""

    workspace: str
    workflow: str
    seq: int = 0


class BreakerChanged(Struct, frozen=True):
    """A circuit breaker has opened, or closed again. `connector` is empty for a workspace as a whole."""

    workspace: str
    connector: str
    state: str
    until: int


class FollowUpNoted(Struct, frozen=True):
    """Something was noted that is to be done because a run has ended."""


class TriggersChanged(Struct, frozen=True):
    """A workflow's published triggers are others now: its webhooks, its schedules, or their code."""

    workspace: str
    workflow: str


class NodeStarted(Struct, frozen=True):
    """An attempt has left. Not numbered, and lost where nobody listens."""

    execution: bytes
    node: str
    path: str


Listener = Callable[[Any], None]


class EventBus:
    """Carries events upward: who listens is not known to who publishes."""

    def __init__(self) -> None:
        self._listeners: dict[type, list[Listener]] = defaultdict(list)
        self._watchers: dict[bytes, list[Listener]] = defaultdict(list)

    def listen(self, event_type: type, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each event of the type, until the returned function is called."""
        self._listeners[event_type].append(listener)
        return lambda: self._listeners[event_type].remove(listener)

    def watch(self, execution: bytes, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the events of one execution, until the returned function is called."""
        self._watchers[execution].append(listener)

        def stop() -> None:
            self._watchers[execution].remove(listener)
            if not self._watchers[execution]:
                del self._watchers[execution]

        return stop

    def publish(self, event: Any) -> None:
        """Tell the listeners. One that breaks is logged, the others are told all the same."""
        listeners = self._listeners.get(type(event))
        if listeners:
            _tell(listeners, event)
        if self._watchers and isinstance(event, ExecutionAdvanced):
            _tell(self._watchers.get(event.execution, ()), event)

    def started(self, execution: bytes, node: str, path: str) -> None:
        """An attempt has left, for whoever watches that execution."""
        watchers = self._watchers.get(execution)
        if watchers:
            _tell(watchers, NodeStarted(execution, node, path))


def _tell(listeners: Any, event: Any) -> None:
    for listener in list(listeners):
        try:
            listener(event)
        except Exception:
            log.exception("A listener of %s broke", type(event).__name__)
