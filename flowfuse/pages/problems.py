"""Errors as problem details (RFC 9457): the one place where a code becomes an HTTP status."""

from __future__ import annotations

from typing import Any

import msgspec

from flowfuse.errors import (
    BackupInvalid,
    CallDenied,
    CodeSpent,
    ConditionMissing,
    Conflict,
    Corrupt,
    Denied,
    FlowFuseError,
    Invalid,
    MethodNotTaken,
    NotFound,
    RequestInvalid,
    SignInNeeded,
    StaleVersion,
    TooLarge,
    TooManyAttempts,
    Unavailable,
    WorkflowInvalid,
    WrongPassword,
)

_STATUS: tuple[tuple[type[FlowFuseError], int], ...] = (
    (TooLarge, 413),
    (ConditionMissing, 428),
    (MethodNotTaken, 405),
    (RequestInvalid, 400),
    (Invalid, 422),
    (NotFound, 404),
    (SignInNeeded, 401),
    (CallDenied, 401),
    (WrongPassword, 401),
    (CodeSpent, 410),
    (Denied, 403),
    (StaleVersion, 412),
    (Conflict, 409),
    (BackupInvalid, 409),
    (TooManyAttempts, 429),
    (Unavailable, 503),
)


def status_of(error: FlowFuseError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def retry_headers(error: FlowFuseError) -> dict[str, str]:
    """When to try again, of an error that says it."""
    if isinstance(error, Unavailable | TooManyAttempts):
        return {"retry-after": str(int(error.retry_after))}
    return {}


def problem(error: FlowFuseError, status: int) -> dict[str, Any]:
    """Problem details (RFC 9457) of an error. What went wrong inside stays inside."""
    if status >= 500 and not isinstance(error, Unavailable | Corrupt):
        return {
            "type": "about:blank",
            "title": error.code,
            "status": status,
            "detail": FlowFuseError().message,
        }
    body: dict[str, Any] = {
        "type": f"/errors/{error.code}",
        "title": error.code,
        "status": status,
        "detail": error.message,
        "code": error.code,
    }
    if isinstance(error, WorkflowInvalid):
        body["problems"] = error.problems
    elif "field" in error.parameters:
        body["field"] = error.parameters["field"]
    return body


def problem_bytes(error: FlowFuseError, status: int) -> bytes:
    """`problem` as JSON text."""
    return msgspec.json.encode(problem(error, status))
