"""Sensitive values: what of a run is hidden where it is shown.

`settings.sensitive` names them by paths: `trigger.body.card`, `nodes.pay.token`, or `nodes.pay` as a whole.
What a run of such a workflow stores is sealed as a whole (see `StateManager.stored`); in what is shown, the
named values are hidden, and their texts wherever else they turn up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from flowfuse.engine.frame import UNFIRED
from flowfuse.model import ExecutionDetail, LogLine, NodeError, Value

if TYPE_CHECKING:
    from flowfuse.engine.frame import Frame
    from flowfuse.engine.plan import Plan

HIDDEN = "•••"
LEAST = 4
"""Shorter texts occur everywhere by chance, and are hidden only at their own place."""


def sensitive_texts(frame: Frame) -> list[str]:
    """The texts of the named values, as far as the run's own nodes have given them."""
    plan = frame.run.plan
    found: list[str] = []
    for path in plan.sensitive:
        value: Value = frame.trigger
        if path[0] == "nodes":
            node = plan.by_id.get(path[1])
            value = UNFIRED if node is None or node.scope.depth else frame.values[node.slot]
        if value is not UNFIRED:
            found += _texts(_at(value, path[_begin(path) :]))
    return sorted(set(found), key=len, reverse=True)


def without(text: str, secrets: Sequence[str]) -> str:
    """A text with these hidden."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def hidden(detail: ExecutionDetail, plan: Plan) -> ExecutionDetail:
    """What is shown of an execution."""
    secrets: list[str] = []
    triggers = {node.id for node in plan.triggers}
    for run in detail.nodes:
        secrets += [
            text for path in _paths_of(run.node, triggers, plan) for text in _texts(_at(run.output, path))
        ]
    secrets = sorted(set(secrets), key=len, reverse=True)

    def hide(value: Any) -> Any:
        return _without(value, secrets)

    nodes = []
    for run in detail.nodes:
        output = run.output
        for path in _paths_of(run.node, triggers, plan):
            output = _hidden_at(output, path)
        nodes.append(
            msgspec.structs.replace(
                run, input=hide(run.input), output=hide(output), waits_for=hide(run.waits_for),
                error=_error(run.error, secrets), log=[_line(line, secrets) for line in run.log],
            )
        )  # fmt: skip
    given = detail.input
    for path in plan.sensitive:
        if path[0] == "trigger":
            given = _hidden_at(given, path[1:])
    answer = detail.answer
    if answer is not None:
        answer = msgspec.structs.replace(answer, headers=hide(answer.headers), body=hide(answer.body))
    return msgspec.structs.replace(
        detail, nodes=nodes, input=hide(given), result=hide(detail.result), answer=answer,
        execution=msgspec.structs.replace(detail.execution, error=_error(detail.execution.error, secrets)),
    )  # fmt: skip


def _begin(path: Sequence[str]) -> int:
    return 2 if path[0] == "nodes" else 1


def _paths_of(node: str, triggers: set[str], plan: Plan) -> Iterator[Sequence[str]]:
    """What is sensitive in a node's value."""
    for path in plan.sensitive:
        if (path[0] == "trigger" and node in triggers) or (path[0] == "nodes" and path[1] == node):
            yield path[_begin(path) :]


def _at(value: Value, path: Sequence[str]) -> Value:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _hidden_at(value: Value, path: Sequence[str]) -> Value:
    if not path:
        return HIDDEN
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: _hidden_at(value[path[0]], path[1:])}


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= LEAST:
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool) and len(str(value)) >= LEAST:
        yield str(value)


def _without(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return without(value, secrets)
    if isinstance(value, dict):
        return {without(key, secrets): _without(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, secrets) for inner in value]
    if isinstance(value, int | float) and str(value) in secrets:
        return HIDDEN
    return value


def _line(line: LogLine, secrets: Sequence[str]) -> LogLine:
    return msgspec.structs.replace(line, message=without(line.message, secrets))


def _error(error: NodeError | None, secrets: Sequence[str]) -> NodeError | None:
    if error is None:
        return None
    excerpt = (
        error.excerpt if isinstance(error.excerpt, msgspec.UnsetType) else without(error.excerpt, secrets)
    )
    return msgspec.structs.replace(error, message=without(error.message, secrets), excerpt=excerpt)
