"""How uvicorn speaks to a connection: the head of an answer leaves together with its body.

uvicorn writes the two one after the other, and a transport sends at once: two system calls and two
packets for each answer, which also wake the caller twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OnePacketProtocol(HttpToolsProtocol):
    """uvicorn's protocol over a transport that holds back heads."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(HeadHolder(transport, self.loop))  # type: ignore[arg-type]


class HeadHolder:
    """A transport that keeps the head of an answer until its body follows, or the loop's turn is over."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, or hold back what begins an answer."""
        head, self._head = self._head, b""
        if not head and data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._send_head)
            return
        if len(data) > JOINED and head:
            self._transport.write(head)
            head = b""
        self._transport.write(head + data)

    def _send_head(self) -> None:
        """The answer's first piece is not there yet: its head goes alone."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close after what was held back."""
        self._send_head()
        self._transport.close()


JOINED = 65_536
"""Bytes: a larger body is not copied for the sake of one system call."""
