"""ValidationEngine: everything that is wrong with a document, in one answer.

The shape (unknown fields, wrong types, bad ids) is `flowfuse.document`'s; here are the connections,
cycles, types, configs and expressions of a document that has it.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from flowfuse.engine.graph import Graph
from flowfuse.engine.plan import ExpressionCheck
from flowfuse.model import Node, Problem, Workflow, seconds
from flowfuse.node import Catalogue, NodeType, check_shape


class ValidationEngine:
    """Checks documents against the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def check(self, workflow: Workflow) -> list[Problem]:
        """All problems, errors first, each with the path of its field."""
        graph = Graph(workflow, self._catalogue)
        expressions = ExpressionCheck(graph)
        problems = [*_settings_problems(workflow), *graph.problems]
        for node in workflow.nodes:
            node_type = graph.types.get(node.id)
            if node_type is not None:
                problems += _node_problems(node, node_type)
                problems += expressions.problems(node)
        return sorted(problems, key=lambda problem: problem.severity)


def errors_of(problems: list[Problem]) -> list[Problem]:
    """The problems that keep a document from being run or published."""
    return [problem for problem in problems if problem.severity == "error"]


def _settings_problems(workflow: Workflow) -> list[Problem]:
    zone = workflow.settings.timezone
    problems = []
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        problems.append(Problem("settings.timezone", "unknown_timezone", f"“{zone}” is no IANA timezone"))
    known = {node.id for node in workflow.nodes}
    for index, path in enumerate(workflow.settings.sensitive):
        parts = path.split(".")
        good = parts[0] == "trigger" or (parts[0] == "nodes" and len(parts) > 1 and parts[1] in known)
        if not good or not all(parts):
            message = f"“{path}” names nothing here; write trigger.body.card, or nodes.ID.field"
            problems.append(Problem(f"settings.sensitive[{index}]", "unknown_path", message))
    return problems


def _node_problems(node: Node, node_type: NodeType) -> list[Problem]:
    path = f"nodes.{node.id}"
    problems = [*_config_problems(node, node_type, f"{path}.config")]
    ports = node_type.ports_of(node.config)
    if node.on_error == "continue" and "main" not in ports:
        message = f"{node_type.type} has no port “main” to continue by; use route"
        problems.append(Problem(f"{path}.on_error", "no_main_port", message))
    if node_type.loop and node.retry is not None:
        problems.append(Problem(f"{path}.retry", "retry_on_loop", "A loop as a whole is not repeated"))
    if node.timeout is not None and seconds(node.timeout) <= 0:
        problems.append(Problem(f"{path}.timeout", "wrong_type", "A timeout is longer than 0"))
    if node.credential is None and node_type.needs_credential(node.config):
        message = "Name the credential that this node needs"
        problems.append(Problem(f"{path}.credential", "missing", message))
    if node.credential is not None and not node_type.takes_credential:
        message = f"{node_type.type} uses no credential"
        problems.append(Problem(f"{path}.credential", "unused_credential", message, "warning"))
    return problems


def _config_problems(node: Node, node_type: NodeType, path: str) -> list[Problem]:
    """The config against the type's Params; expressions are allowed where the field's kind allows them."""
    hidden = {f.name for f in node_type.fields if f.kind == "plain"}
    problems = []
    for where, message in check_shape(node.config, node_type.params, path, expressions=True):
        code = "unknown_field" if message.startswith("There is no such") else "wrong_type"
        problems.append(Problem(where, "missing" if message == "This field is missing" else code, message))
    plain: dict[str, Any] = {name: node.config[name] for name in hidden if name in node.config}
    for name, value in plain.items():
        field = next(f for f in node_type.fields if f.name == name)
        for where, message in check_shape(value, field.type, f"{path}.{name}"):
            problem = Problem(where, "wrong_type", message)
            if not any(p.path == where for p in problems):
                problems.append(problem)
    if not problems:
        found = node_type.check(node.config)
        problems = [Problem(f"{path}.{name}", "config", message) for name, message in found]
    return problems
