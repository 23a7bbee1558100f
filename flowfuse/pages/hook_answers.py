"""What a webhook's caller gets to see."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import msgspec

from flowfuse.clock import id_text
from flowfuse.data.files import FileStore, StoredFile, as_file
from flowfuse.errors import CallDenied, FlowFuseError
from flowfuse.large_json import LARGE, encode
from flowfuse.model import TERMINAL, Answer, State, Value
from flowfuse.pages.problems import problem_bytes, retry_headers, status_of

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")
# Whatever a workflow answers, its text must not run as a page of this origin: no header of a document's
# takes the sandbox away, sets a cookie, or frames the answer anew.
_GUARD = ((b"content-security-policy", b"sandbox"), (b"x-content-type-options", b"nosniff"))
_WITHHELD = (b"content-length", b"transfer-encoding", b"connection", b"set-cookie", *dict(_GUARD))
_NO_BODY = (204, 304)


async def send_state(send: Any, execution: bytes, state: State, result: Value) -> None:
    """How a run has ended, or that it has not; of a failure nothing of the inside."""
    if state is State.completed:
        await send_whole(send, 200, [JSON, *_GUARD], await encode(result))
    elif state in TERMINAL:
        body = {
            "type": "/errors/run_failed", "title": "run_failed", "status": 500,
            "detail": f"The run ended as {state.name}.", "id": id_text(execution),
        }  # fmt: skip
        await send_whole(send, 500, [PROBLEM], msgspec.json.encode(body))
    else:
        body = {"id": id_text(execution), "state": state.name}
        await send_whole(send, 202, [JSON, location_of(execution)], msgspec.json.encode(body))


async def send_answer(send: Any, answer: Answer, files: FileStore, workspace: str) -> None:
    """What the respond node says: a text or a file as it is, all else as JSON. Raises NotFound."""
    body = answer.body
    file = as_file(body)
    if file is not None:
        await _send_file(send, answer, file, files, workspace)
        return
    if isinstance(body, str):
        kind, content = b"text/plain; charset=utf-8", body.encode()
    else:
        kind, content = b"application/json", await encode(body)
    if not answer.headers:
        await send_whole(send, answer.status, [(b"content-type", kind), *_GUARD], content)
        return
    headers = _own_headers(answer, [(b"content-type", kind)])
    await send_whole(send, answer.status, headers, content)


def _own_headers(answer: Answer, usual: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The document's headers, as far as they may be; the usual ones where it says nothing; the guard."""
    headers = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in answer.headers.items()]
    headers = [pair for pair in headers if pair[0] not in _WITHHELD]
    said = {name for name, _ in headers}
    return [*headers, *(pair for pair in usual if pair[0] not in said), *_GUARD]


async def _send_file(send: Any, answer: Answer, file: StoredFile, files: FileStore, workspace: str) -> None:
    """A file, piece by piece, to be saved under its name."""
    path = await files.find(workspace, file.sha256)
    size = (await asyncio.to_thread(path.stat)).st_size
    name = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    usual = [(b"content-type", file.type.encode()), (b"content-disposition", name.encode())]
    headers = [*_own_headers(answer, usual), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.status not in _NO_BODY:
        async for piece in files.stream(workspace, file.sha256):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def location_of(execution: bytes) -> tuple[bytes, bytes]:
    """The header that says where an execution can be looked at."""
    return b"location", b"/api/v1/executions/%b" % id_text(execution).encode()


async def send_error(send: Any, error: FlowFuseError) -> None:
    """An error of ours as problem JSON."""
    status = status_of(error)
    headers = [PROBLEM]
    headers += [(name.encode(), value.encode()) for name, value in retry_headers(error).items()]
    if isinstance(error, CallDenied) and error.parameters["challenge"]:
        headers.append((b"www-authenticate", error.parameters["challenge"].encode()))
    await send_whole(send, status, headers, problem_bytes(error, status))


async def send_whole(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """An answer that is there as a whole; a large one leaves as fast as it is taken, not at once."""
    if status in _NO_BODY:
        body = b""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if len(body) > LARGE:
        for at in range(0, len(body), LARGE):
            await send({"type": "http.response.body", "body": body[at : at + LARGE], "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": body})
