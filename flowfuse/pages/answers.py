"""Errors as HTTP answers: HTML or problem JSON by Accept."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from flowfuse.errors import FlowFuseError, Unavailable
from flowfuse.pages.language import say, sentence
from flowfuse.pages.page import language_of, reader_of
from flowfuse.pages.problems import problem, problem_bytes, retry_headers, status_of

log = logging.getLogger("flowfuse.pages")

PROBLEM = "application/problem+json"
# What the framework says, as a defect of the server, of a tab that is closed while it sends.
_GONE = "client disconnected prematurely"


def answer_error(request: Request[Any, Any, Any], error: FlowFuseError) -> Response[Any]:
    """The answer for one of our own errors."""
    status = status_of(error)
    if status >= 500 and not isinstance(error, Unavailable):
        log.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    headers = retry_headers(error)
    if wants_page(request):
        detail = problem(error, status)["detail"]
        shown = sentence(language_of(request), error) if detail == error.message else detail
        return _page(request, status, shown, headers)
    return Response(problem_bytes(error, status), status_code=status, media_type=PROBLEM, headers=headers)


def answer_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The answer for what the framework refuses: no route, wrong method, too large a body."""
    status = error.status_code
    if error.detail == _GONE:
        log.debug("%s %s: who asked has gone", request.method, request.url.path)
        return Response(b"", status_code=400)
    if status >= 500:
        return answer_defect(request, error)
    headers, page = dict(error.headers or {}), wants_page(request)
    detail = error.detail
    if status == 404:
        language = language_of(request) if page else "en"
        detail = say(language, "There is nothing at {path}.", path=request.url.path[:200])
    if page:
        return _page(request, status, detail, headers)
    code = _CODES.get(status, "request_invalid")
    body = {
        "type": f"/errors/{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return Response(msgspec.json.encode(body), status_code=status, media_type=PROBLEM, headers=headers)


def answer_defect(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer for a defect: the log has it, the caller gets a sentence."""
    log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    return answer_error(request, FlowFuseError())


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person's browser is asking, and not a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _page(
    request: Request[Any, Any, Any], status: int, detail: str, headers: dict[str, str]
) -> Response[Any]:
    state = request.app.state
    shown: dict[str, Any] = {"status": status, "detail": detail}
    if status == 401:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        shown |= {"next": here if request.method == "GET" else "/", "ticket": "", "email": "", "wrong": ""}
        shown |= {"by_password": state.auth.by_password, "sso": state.sso_name}
    name = "sign_in.html" if status == 401 else "error.html"
    html = state.templates.render(name, **reader_of(request), **shown)
    return Response(html, status_code=status, media_type="text/html", headers=headers)


_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
EXCEPTION_HANDLERS: Any = {
    FlowFuseError: answer_error,
    HTTPException: answer_http,
    Exception: answer_defect,
}
