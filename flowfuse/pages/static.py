"""The built files of web/dist. Their names hold a hash of their content, so browsers keep them for ever."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from litestar import Response, get
from litestar.params import FromPath

from flowfuse.errors import NotFound
from flowfuse.pages.guards import PUBLIC
from flowfuse.pages.render import STATIC
from flowfuse.resources import asset_root

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}


@get(f"{STATIC}/{{name:str}}", opt=PUBLIC, sync_to_thread=True)
def static_file(name: FromPath[str]) -> Response[bytes]:
    """A built file. Raises NotFound for every name that the build did not make."""
    file = _files().get(name)
    if file is None:
        raise NotFound(what="file", id=name)
    return Response(file.read_bytes(), media_type=TYPES[file.suffix], headers=FOR_EVER)


@cache
def _files() -> dict[str, Path]:
    """The folder's files by name: looking a name up here cannot lead out of it."""
    folder = asset_root("web") / "dist"
    own = {"manifest.json", "code.json"}
    return {f.name: f for f in folder.iterdir() if f.suffix in TYPES and f.name not in own}
