"""Runs a person's own Python on the values that it is given."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from flowfuse.node import LogNote, NodeType, Output, Params, RunContext, form
from flowfuse.sandbox.runner import DEFAULT_SECONDS, CodeRunner


class CodeParams(Params, frozen=True):
    """The code and what it sees."""

    source: Annotated[
        str,
        form(
            "Code",
            "Python. What it returns, or its last expression, goes on.",
            widget="code",
            kind="plain",
        ),
    ]
    inputs: Annotated[
        dict[str, Any],
        form("Inputs", "Each key is a global of the code; it sees nothing else.", widget="key_value"),
    ] = {}  # noqa: RUF012


class CodeAction(NodeType):
    type = "action.code"
    title = "Code"
    summary = "Runs Python in a sandbox and gives what it returns."
    icon = "code"
    detached = True
    default_timeout = DEFAULT_SECONDS
    params = CodeParams
    example: ClassVar = {
        "id": "totals",
        "type": "action.code",
        "config": {
            "source": "total = sum(order['amount'] for order in orders)\nreturn {'total': total}",
            "inputs": {"orders": "{{ trigger.body }}"},
        },
    }

    def __init__(self, runner: CodeRunner) -> None:
        self._runner = runner

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        inputs = config.get("inputs", {})
        for name in inputs if isinstance(inputs, dict) else ():
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
                yield f"inputs.{name}", f"“{name}” cannot be the name of a variable"
        problem = self._runner.problem(config.get("source", ""))
        if problem is not None:
            yield "source", f"Line {problem.line}, column {problem.column}: {problem.message}"

    async def run(self, params: Any, context: RunContext) -> Output:
        result = await self._runner.run(
            params.source,
            params.inputs,
            timeout=context.own_timeout(),
            now_us=context.now_us,
            timezone=context.timezone,
            seed=context.idempotency_key(),
        )
        note = LogNote("info", result.printed) if result.printed else None
        return Output("main", result.value, note)
