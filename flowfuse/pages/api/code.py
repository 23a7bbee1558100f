"""/api/v1/code: the code node's own checker, and its source on values at hand, for whoever writes code."""

from __future__ import annotations

import asyncio
import keyword
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency

from flowfuse.errors import CodeError, NodeTimeout, OutputInvalid, RequestInvalid
from flowfuse.node import pack
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.spec import spec
from flowfuse.pages.guards import needs
from flowfuse.sandbox.runner import DEFAULT_SECONDS, MAX_SOURCE, CodeRunner

LONGEST = 60.0
Asked = Request[Any, Any, Any]


class CheckRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A source, and the names that it gets as its inputs."""

    source: str
    names: list[str] = []


class TryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A source, and the values that it gets. `timeout` is seconds."""

    source: str
    inputs: dict[str, Any] = {}
    timeout: float = DEFAULT_SECONDS


def _check_names(names: list[str], field: str) -> None:
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
            raise RequestInvalid(field=field, reason=f"“{name[:40]}” cannot be the name of a variable")


@post(
    "/api/v1/code/check",
    guards=[needs("read")],
    status_code=200,
    opt=spec(
        "Code",
        body=CheckRequest,
        body_example={"source": "return price * 2", "names": ["price"]},
        answer={"type": "object", "required": ["diagnostics"]},
    ),
)
async def check_code(request: Asked, code_runner: NamedDependency[CodeRunner]) -> Response[bytes]:
    """What does not compile and what probably fails, as `diagnostics` with line, column and severity."""
    asked = await read_json(request, CheckRequest)
    _check_names(asked.names, "names")
    return answer({"diagnostics": await asyncio.to_thread(code_runner.check, asked.source, asked.names)})


@post(
    "/api/v1/code/run",
    guards=[needs("build")],
    status_code=200,
    opt=spec(
        "Code",
        body=TryRequest,
        body_example={"source": "return price * 2", "inputs": {"price": 4}},
        answer={"type": "object", "required": ["value", "printed", "error"]},
    ),
)
async def run_code(request: Asked, code_runner: NamedDependency[CodeRunner]) -> Response[bytes]:
    """Run a source once, beside all workflows: `{value, printed, error}`; one of value and error is null."""
    asked = await read_json(request, TryRequest)
    _check_names(list(asked.inputs), "inputs")
    if len(asked.source) > MAX_SOURCE:
        raise RequestInvalid(field="source", reason=f"it is longer than {MAX_SOURCE:,} characters")
    if not 0 < asked.timeout <= LONGEST:
        raise RequestInvalid(field="timeout", reason=f"it is not more than 0 and at most {LONGEST:g} s")
    try:
        result = await code_runner.run(asked.source, asked.inputs, timeout=asked.timeout)
        pack(result.value)
    except (CodeError, NodeTimeout, OutputInvalid) as error:
        shown = {"code": error.code, "message": error.message}
        shown |= {
            key: error.parameters[key] for key in ("line", "column", "excerpt") if key in error.parameters
        }
        return answer({"value": None, "printed": error.printed, "error": shown})
    return answer({"value": result.value, "printed": result.printed, "error": None})
