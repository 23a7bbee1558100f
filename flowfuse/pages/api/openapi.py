"""/api/v1/openapi.json (OpenAPI 3.1) and /docs/api: the API, as its routes say it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowfuse import __version__, document
from flowfuse.model import Problem, WorkflowSummary
from flowfuse.pages.api.body import answer
from flowfuse.pages.api.spec import SPEC, Spec
from flowfuse.pages.guards import signed_in
from flowfuse.pages.page import page

REFERENCE = "#/components/schemas/{name}"
PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457). `field` names what is wrong in a request.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "A stable code."},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
    },
}
# The order a newcomer reads them in; a tag that is not named here comes after.
ORDER = ("Workflows", "Versions", "Executions", "Dead letters", "Approvals", "Schedules", "Credentials")
_PARAMETER = re.compile(r"\{(\w+):(\w+)\}")
_TYPES = {"str": "string", "int": "integer"}


@get("/api/v1/openapi.json", guards=[signed_in])
async def openapi_json() -> Response[bytes]:
    """The API as an OpenAPI 3.1 document."""
    return answer(openapi())


@get("/docs/api", guards=[signed_in])
async def api_docs(request: Request[Any, Any, Any]) -> Response[str]:
    """The same as a page."""
    described = openapi()
    groups: dict[str, list[dict[str, Any]]] = {tag: [] for tag in ORDER}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            shown = {"path": path, "method": method.upper(), **operation}
            groups.setdefault(operation["tags"][0], []).append(shown)
    groups = {tag: operations for tag, operations in groups.items() if operations}
    return page(request, "api_docs.html", groups=groups, schemas=described["components"]["schemas"])


@cache
def openapi() -> dict[str, Any]:
    """The whole document; made once, since routes do not change while the process runs."""
    from flowfuse.pages.api import API

    handlers = [handler for handler in API if SPEC in handler.opt]
    kinds = [Problem, WorkflowSummary, *(k for handler in handlers for k in _kinds(handler.opt[SPEC]))]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    by_kind = dict(zip((_name(kind) for kind in kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for handler in handlers:
        for path in handler.paths:
            if path.startswith("/api/v1"):
                place = paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})
                for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                    place[method.lower()] = _operation(handler, path, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FlowFuse",
            "version": __version__,
            "description": "Workflows, executions, schedules, credentials. Times are UTC microseconds.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**components, "WorkflowDocument": _document_schema(), "ProblemDetails": PROBLEM},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, an access token, or the install's token.",
                }
            },
        },
    }


def _document_schema() -> dict[str, Any]:
    """The document's own schema, with its parts inside it."""
    schema: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(document.json_schema()).replace(
            b'"#/$defs/', b'"#/components/schemas/WorkflowDocument/$defs/'
        )
    )
    schema.pop("$schema", None)
    return schema


def _kinds(spec: Spec) -> list[Any]:
    """The types that a route's schemas are made from."""
    found = [spec.body, spec.answer]
    kinds = [kind["items_of"] if isinstance(kind, dict) and "items_of" in kind else kind for kind in found]
    return [kind for kind in kinds if kind is not None and not isinstance(kind, dict)]


def _name(kind: Any) -> str:
    return repr(kind)


def _schema(kind: Any, by_kind: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, dict) and "items_of" in kind:
        properties = {"items": {"type": "array", "items": _schema(kind["items_of"], by_kind)}}
        if kind["cursor"]:
            properties["cursor"] = {"type": ["string", "null"]}
        return {"type": "object", "required": list(properties), "properties": properties}
    if isinstance(kind, dict):
        return kind
    found: dict[str, Any] = by_kind[_name(kind)]
    return found


def _operation(handler: HTTPRouteHandler, path: str, by_kind: dict[str, Any]) -> dict[str, Any]:
    spec: Spec = handler.opt[SPEC]
    text = inspect.getdoc(handler.fn) or ""
    operation: dict[str, Any] = {
        "operationId": handler.fn.__name__,
        "tags": [spec.tag],
        "summary": text.partition("\n")[0],
        "parameters": [
            *_path_parameters(path),
            *_parameters("query", spec.query),
            *_parameters("header", spec.headers),
        ],
        "responses": _responses(spec, by_kind),
    }
    if handler.opt.get("public"):
        operation["security"] = []
    if spec.body is not None:
        content: dict[str, Any] = {"schema": _schema(spec.body, by_kind)}
        if spec.body_example is not None:
            content["example"] = spec.body_example
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(spec.media, content)}
    return operation


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name, kind in _PARAMETER.findall(path):
        schema: dict[str, Any] = {"type": _TYPES[kind]}
        if kind == "str":
            schema["minLength"] = 1
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _parameters(place: str, given: dict[str, str]) -> Iterable[dict[str, Any]]:
    for name, meaning in given.items():
        yield {"name": name, "in": place, "description": meaning, "schema": {"type": "string"}}


def _responses(spec: Spec, by_kind: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(spec.status).phrase}
    if spec.answer is not None:
        content: dict[str, Any] = {"schema": _schema(spec.answer, by_kind)}
        if spec.answer_example is not None:
            content["example"] = spec.answer_example
        good["content"] = dict.fromkeys(spec.answer_media, content)
    problem = {
        "description": "What was wrong, and what to do.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }
    return {str(spec.status): good, "default": problem}
