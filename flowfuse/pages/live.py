"""The live channel: a run's events over a WebSocket, resumed by sequence number."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect

from flowfuse.clock import id_bytes, id_text
from flowfuse.engine.history import History
from flowfuse.engine.records import open_segment
from flowfuse.engine.state import StateManager, events_of
from flowfuse.errors import FlowFuseError
from flowfuse.events import EventBus, ExecutionAdvanced, NodeStarted
from flowfuse.model import Event
from flowfuse.pages.addresses import whole_number
from flowfuse.pages.guards import signed_in, workspace_of

MAX_BEHIND = 1000
"""A reader that is further behind is cut off; it comes back and resumes by number."""
TOO_SLOW = 1013


@websocket("/live", guards=[signed_in])
async def live(
    socket: WebSocket[Any, Any, Any],
    history: NamedDependency[History],
    states: NamedDependency[StateManager],
    bus: NamedDependency[EventBus],
) -> None:
    """`?execution=ID&after=SEQ`: every numbered event after SEQ once and in order, then as they happen."""
    execution = socket.query_params.get("execution", "")
    raw, after = id_bytes(execution), whole_number(socket.query_params.get("after", "0"))
    await socket.accept()
    if raw is None or after is None:
        await socket.close(code=4400, reason="execution and after are needed")
        return
    queue: asyncio.Queue[Any] = asyncio.Queue(MAX_BEHIND)
    stop = bus.watch(raw, lambda event: _offer(queue, event))
    reader = asyncio.create_task(_until_gone(socket, queue))
    try:
        await _follow(socket, history, states, execution, after, queue)
        if not reader.done():
            await socket.close(code=TOO_SLOW, reason="too far behind; come back and go on by number")
    except FlowFuseError as error:
        await socket.close(code=4404, reason=error.code)
    except WebSocketDisconnect:
        return
    finally:
        stop()
        reader.cancel()


async def _follow(
    socket: WebSocket[Any, Any, Any],
    history: History,
    states: StateManager,
    execution: str,
    after: int,
    queue: asyncio.Queue[Any],
) -> None:
    workspace = workspace_of(socket)
    plan = await history.plan(workspace, execution)
    last = after
    for event in await states.events(workspace, execution, after, plan):
        await _send(socket, event)
        last = event.seq
    while True:
        news = await queue.get()
        if news is None:
            return
        if isinstance(news, NodeStarted):
            await _send(socket, Event(type="started", node=news.node, path=news.path))
            continue
        if news.first_seq > last + 1:
            for event in await states.events(workspace, execution, last, plan):
                await _send(socket, event)
                last = event.seq
            continue
        base, records = open_segment(news.data, id_text(news.execution))
        for event in events_of([(news.first_seq, base, records)], plan):
            if event.seq > last:
                await _send(socket, event)
                last = event.seq


def _offer(queue: asyncio.Queue[Any], event: ExecutionAdvanced | NodeStarted | None) -> None:
    try:
        queue.put_nowait(event)
    except asyncio.QueueFull:
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


async def _until_gone(socket: WebSocket[Any, Any, Any], queue: asyncio.Queue[Any]) -> None:
    """Notice that the reader has left. What it says is of no account."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    _offer(queue, None)


async def _send(socket: WebSocket[Any, Any, Any], event: Event) -> None:
    await socket.send_data(msgspec.json.encode(event).decode())
