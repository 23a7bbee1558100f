"""The live channel of a workflow's editors: that it has changed, and who has it open at which node."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath
from msgspec import Struct

from flowfuse.events import EventBus, WorkflowChanged
from flowfuse.pages.guards import identity_of, signed_in

COLOURS = ("a", "b", "c", "d")
MOST_BEHIND = 200
LONGEST = 2000
"""Characters of what an editor says of itself; more is not listened to."""


class Person(Struct):
    """One editor of a workflow."""

    tab: str
    name: str
    colour: str
    node: str = ""
    field: str = ""


class Says(Struct):
    """What an editor says of itself."""

    node: str = ""
    field: str = ""


class Rooms:
    """The editors that are open, by workflow."""

    def __init__(self, bus: EventBus) -> None:
        self._rooms: dict[tuple[str, str], dict[asyncio.Queue[bytes | None], Person]] = {}
        bus.listen(WorkflowChanged, self._changed)

    def enter(self, key: tuple[str, str], tab: str, name: str = "") -> asyncio.Queue[bytes | None]:
        """A new editor; what it is told comes out of the queue (None: it is too far behind)."""
        room = self._rooms.setdefault(key, {})
        taken = {person.colour for person in room.values() if person.tab != tab}
        colour = next((each for each in COLOURS if each not in taken), COLOURS[-1])
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_BEHIND)
        room[queue] = Person(tab=tab, name=name or f"Editor {COLOURS.index(colour) + 1}", colour=colour)
        self._tell_people(room)
        return queue

    def says(self, key: tuple[str, str], queue: asyncio.Queue[bytes | None], said: Says) -> None:
        """An editor has gone to another node or field."""
        room = self._rooms.get(key, {})
        person = room.get(queue)
        if person is not None:
            person.node, person.field = said.node[:80], said.field[:200]
            self._tell_people(room)

    def leave(self, key: tuple[str, str], queue: asyncio.Queue[bytes | None]) -> None:
        """An editor is gone."""
        room = self._rooms.get(key, {})
        room.pop(queue, None)
        if room:
            self._tell_people(room)
        else:
            self._rooms.pop(key, None)

    def _changed(self, event: WorkflowChanged) -> None:
        room = self._rooms.get((event.workspace, event.workflow), {})
        _tell(room, {"type": "changed", "seq": event.seq})

    def _tell_people(self, room: dict[asyncio.Queue[bytes | None], Person]) -> None:
        _tell(room, {"type": "people", "people": list(room.values())})


def _tell(room: dict[asyncio.Queue[bytes | None], Person], message: Any) -> None:
    data = msgspec.json.encode(message)
    for queue in list(room):
        try:
            queue.put_nowait(data)
        except asyncio.QueueFull:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)


@websocket("/live/workflows/{workflow:str}", guards=[signed_in])
async def editors(
    socket: WebSocket[Any, Any, Any], workflow: FromPath[str], rooms: NamedDependency[Rooms]
) -> None:
    """`?tab=ID`: hears of each change of the draft, and of who else edits it; says where it is."""
    await socket.accept()
    identity = identity_of(socket)
    key = (identity.workspace, workflow)
    queue = rooms.enter(key, socket.query_params.get("tab", "")[:80], identity.name)
    listening = asyncio.create_task(_listen(socket, rooms, key, queue))
    try:
        while (data := await queue.get()) is not None:
            await socket.send_data(data.decode())
        if not listening.done():
            await socket.close(code=1013, reason="too far behind")
    except WebSocketDisconnect:
        return
    finally:
        rooms.leave(key, queue)
        listening.cancel()


async def _listen(
    socket: WebSocket[Any, Any, Any],
    rooms: Rooms,
    key: tuple[str, str],
    queue: asyncio.Queue[bytes | None],
) -> None:
    """Take what the editor says of itself, till it is gone."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        text = str(message.get("text") or "")
        if len(text) > LONGEST:
            continue
        try:
            said = msgspec.json.decode(text, type=Says)
        except msgspec.DecodeError:
            continue
        rooms.says(key, queue, said)
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)
