"""Files: given out only to be saved, never to be shown as pages of ours; and taken in."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import File

from flowfuse.data.files import OCTETS, FileStore, safe_name
from flowfuse.errors import RequestInvalid
from flowfuse.pages.api.body import answer as json_answer
from flowfuse.pages.guards import needs, signed_in, workspace_of

MAX_UPLOAD = 10_000_000_000
_GUARD = {
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}
Asked = Request[Any, Any, Any]


@get(["/files/{sha256:str}", "/api/v1/files/{sha256:str}"], guards=[signed_in])
async def get_file(request: Asked, sha256: FromPath[str], files: NamedDependency[FileStore]) -> File:
    """A kept file under `name`, as octets, whatever it holds."""
    path = await files.find(workspace_of(request), sha256)
    name = safe_name(request.query_params.get("name") or "file")
    return File(path, filename=name, media_type=OCTETS, content_disposition_type="attachment", headers=_GUARD)


@post("/api/v1/files", guards=[needs("operate")], request_max_body_size=MAX_UPLOAD)
async def upload_file(request: Asked, files: NamedDependency[FileStore]) -> Response[bytes]:
    """Keep the body as a file; `name` and the content type go with it. Gives the file's value."""
    async with files.writing(workspace_of(request), MAX_UPLOAD) as writer:
        async for piece in request.stream():
            await writer.write(piece)
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) != writer.size:
            raise RequestInvalid(field="body", reason="the connection ended before the whole file had come")
        kept = await writer.finish(
            request.query_params.get("name") or "", request.headers.get("content-type") or ""
        )
    return json_answer(kept.value(), 201)
