"""Compares what the engine did with what the reference says."""

from __future__ import annotations

from typing import Any

from flowfuse.engine.validation import ValidationEngine, errors_of
from flowfuse.model import Event, Value, Workflow
from tests.support.reference import Fault, Left, Oracle, Place, Reference, Report
from tests.support.simulation import CATALOGUE, Engine

_VALIDATION = ValidationEngine(CATALOGUE)


def check_valid(workflow: Workflow) -> None:
    """The generator makes only documents that may run."""
    problems = errors_of(_VALIDATION.check(workflow))
    assert not problems, problems


class Recorded(Oracle):
    """Answers from the engine's events."""

    def __init__(self, events: list[Event]) -> None:
        self._order: dict[Place, int] = {}
        self._failed: dict[Place, Fault] = {}
        self._rounds: dict[tuple[Place, int], Fault] = {}
        self._responds: list[Place] = []
        for event in events:
            place = (event.node, event.path)
            if event.type == "node_done" or (event.type == "node_failed" and event.port):
                assert place not in self._order, f"{place} has ended twice"
                self._order[place] = event.seq
            if event.error is not None and event.type == "node_failed":
                self._failed[place] = fault_of(event.error)
            elif event.error is not None and event.type == "round":
                self._rounds[(place, event.count)] = fault_of(event.error)
            elif event.type == "respond":
                self._responds.append(place)

    def first_source(self, sources: list[Place]) -> int:
        """A round's own item is there before anything else, and not recorded."""
        known = [(self._order.get(place, 1 << 60), number) for number, place in enumerate(sources)]
        for number, (node, path) in enumerate(sources):
            if path.rpartition("/")[2].startswith(f"{node}:"):
                return number
        return min(known)[1]

    def loop_error(self, place: Place, possible: list[Fault]) -> Fault:
        return self._one_of(self._failed.get(place), possible)

    def round_error(self, place: Place, number: int, possible: list[Fault]) -> Fault:
        return self._one_of(self._rounds.get((place, number)), possible)

    def first_respond(self, places: list[Place]) -> int | None:
        if not self._responds:
            return None
        assert self._responds[0] in places
        return places.index(self._responds[0])

    def _one_of(self, recorded: Fault | None, possible: list[Fault]) -> Fault:
        if recorded is None:
            return possible[0]
        assert recorded in possible, f"{recorded} is not among {possible}"
        return recorded


def fault_of(error: Any) -> Fault:
    """The part of an error that the contract determines."""
    return Fault(error.code, error.node, error.attempt)


def plain(value: Value) -> Value:
    """A value in which errors stand as far as the contract determines them."""
    if isinstance(value, Fault):
        return {"code": value.code, "node": value.node, "attempt": value.attempt}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        if {"code", "message", "node", "attempt", "hint"} <= set(value):
            return {name: value[name] for name in ("code", "node", "attempt")}
        return {name: plain(each) for name, each in value.items()}
    return value


def reference_of(engine: Engine, workflow: Workflow, value: Value, raw: bytes, trigger: str) -> Report:
    """What the reference says to a run, where order decides as it was recorded."""
    return Reference(workflow, value, trigger, Recorded(engine.events(raw))).run()


def check_run(engine: Engine, workflow: Workflow, value: Value, raw: bytes, trigger: str) -> Report:
    """The stored run, compared in everything that is determined."""
    report = reference_of(engine, workflow, value, raw, trigger)
    detail = engine.detail(raw)
    execution = detail.execution
    if report.failures:
        assert execution.state == "failed", (execution, report.failures)
        assert execution.error is not None
        assert fault_of(execution.error) in report.failures
    else:
        assert execution.state == "completed", execution
        assert plain(detail.result) == plain(report.result)
    _check_nodes(workflow, detail.nodes, report)
    return report


def _check_nodes(workflow: Workflow, nodes: list[Any], report: Report) -> None:
    # No attempt is repeated once something has failed, so with repeats more outcomes are possible.
    repeats = any(node.retry is not None for node in workflow.nodes)
    there: dict[Place, Left] = {}
    for run in nodes:
        if run.state in ("done", "failed"):
            there[(run.node, run.path)] = Left(run.state, run.port, run.output, run.input)
    for place, left in report.certain.items():
        assert place in there, f"{place} has not run"
        _same(place, there.pop(place), left)
    for place, found in there.items():
        assert place in report.possible, f"{place} has run: {found}"
        if not repeats:
            _same(place, found, report.possible[place])


def _same(place: Place, found: Left, wanted: Left) -> None:
    assert (found.state, found.port) == (wanted.state, wanted.port), (place, found, wanted)
    assert plain(found.value) == plain(wanted.value), (place, found, wanted)
    assert plain(found.input) == plain(wanted.input), (place, found, wanted)
