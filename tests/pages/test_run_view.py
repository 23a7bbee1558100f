"""What the page of a run shows: states, rounds, timeline."""

from collections.abc import Callable

import msgspec

from flowfuse.model import Attempt, Execution, ExecutionDetail, NodeError, NodeRun, Workflow
from flowfuse.node import Catalogue
from flowfuse.pages.graph import graph_view
from flowfuse.pages.run_view import WIDTH, run_view

Make = Callable[..., Execution]
Detail = Callable[[Execution], ExecutionDetail]
NOW = 1_790_000_000_000_000


def test_the_first_failed_node_and_round_are_chosen(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make, make_detail: Detail
) -> None:
    view = run_view(make_detail(make_execution("failed")), graph_view(workflow, catalogue), NOW)
    assert view.node is not None
    assert view.shown is not None
    assert view.rounds is not None
    assert (view.node.id, view.shown.path) == ("label", "each:1")
    assert (view.rounds.number, view.rounds.total, view.rounds.failures) == (2, 3, 1)
    assert (view.rounds.previous, view.rounds.following) == ("each:0", "each:2")


def test_the_address_chooses_node_and_round(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make, make_detail: Detail
) -> None:
    view = run_view(make_detail(make_execution()), graph_view(workflow, catalogue), NOW, "check", "each:2")
    assert view.shown is not None
    assert (view.shown.node, view.shown.path) == ("check", "each:2")
    unknown = run_view(make_detail(make_execution()), graph_view(workflow, catalogue), NOW, "nope", "each:9")
    assert unknown.node is not None


def test_nodes_are_counted_by_how_they_ended(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make, make_detail: Detail
) -> None:
    view = run_view(make_detail(make_execution()), graph_view(workflow, catalogue), NOW)
    states = {state.id: state for state in view.states}
    assert (states["label"].done, states["label"].failed) == (2, 1)
    assert states["other"].skipped == 1
    assert states["end"].done == 0


def test_a_run_is_opened_on_what_failed_it_not_on_an_error_that_it_went_on_with(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make, make_detail: Detail
) -> None:
    cause = NodeError("remote_error", "GET example.org answered 500", "end")
    detail = make_detail(make_execution("failed", error=cause))
    nodes = [*detail.nodes, NodeRun(node="end", path="", state="failed", error=cause)]
    graph = graph_view(workflow, catalogue)
    view = run_view(msgspec.structs.replace(detail, nodes=nodes), graph, NOW)
    assert view.node is not None
    assert view.node.id == "end"


def test_of_a_bodys_failed_rounds_the_one_that_failed_the_run_is_shown(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make
) -> None:
    first, cause = (NodeError("remote_error", f"answered {status}", "label") for status in (503, 500))
    nodes = [
        NodeRun(node="label", path=f"each:{number}", state="failed", error=error)
        for number, error in enumerate((first, cause))
    ]
    detail = ExecutionDetail(
        execution=make_execution("failed", error=cause),
        input=None,
        result=None,
        answer=None,
        seq=9,
        nodes=nodes,
    )
    view = run_view(detail, graph_view(workflow, catalogue), NOW)
    assert view.shown is not None
    assert view.shown.path == "each:1"


def test_what_the_runs_end_has_stopped_is_neither_at_work_nor_waiting(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make
) -> None:
    execution = make_execution("cancelled")
    begun, ended = execution.started, execution.finished
    run = NodeRun(node="each", path="", state="stopped", started=begun, ended=ended)
    detail = ExecutionDetail(execution=execution, input=None, result=None, answer=None, seq=9, nodes=[run])
    view = run_view(detail, graph_view(workflow, catalogue), NOW)
    state = next(state for state in view.states if state.id == "each")
    assert (state.stopped, state.running, state.waiting, state.failed) == (1, 0, 0, 0)
    assert [(bar.tone, bar.x, bar.width) for row in view.rows for bar in row.bars] == [("idle", 0.0, 1000.0)]


def test_the_timeline_has_no_row_for_what_did_not_run(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make, make_detail: Detail
) -> None:
    view = run_view(make_detail(make_execution()), graph_view(workflow, catalogue), NOW)
    assert [row.node.id for row in view.rows] == ["hook", "each", "check", "label"]
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for row in view.rows for bar in row.bars)
    assert [bar.tone for bar in view.rows[-1].bars] == ["ok", "ok", "fail"]


def test_attempts_and_the_pauses_between_them_have_their_place_and_length(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make
) -> None:
    execution = make_execution("failed")  # took six seconds
    start = execution.started or 0
    attempts = [
        Attempt(1, "failed", start, start + 600_000),
        Attempt(2, "interrupted", start + 3_000_000),  # the process died: nobody knows when it ended
        Attempt(3, "failed", start + 4_200_000, start + 6_000_000),
    ]
    run = NodeRun(
        node="end", path="", state="failed", started=start, ended=start + 6_000_000, attempts=attempts
    )
    detail = ExecutionDetail(execution=execution, input=None, result=None, answer=None, seq=9, nodes=[run])
    (row,) = run_view(detail, graph_view(workflow, catalogue), NOW).rows
    assert [(bar.tone, bar.attempt, bar.x, bar.width, bar.took) for bar in row.bars] == [
        ("pause", 1, 100.0, 400.0, 2_400_000),
        ("retry", 1, 0.0, 100.0, 600_000),
        ("retry", 2, 500.0, 2.0, None),
        ("fail", 3, 700.0, 300.0, 1_800_000),
    ]


def test_while_a_next_attempt_is_waited_for_the_pause_grows(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make
) -> None:
    execution = make_execution("running")
    start = execution.started or 0
    run = NodeRun(
        node="end",
        path="",
        state="retrying",
        started=start,
        attempts=[Attempt(1, "failed", start, start + 800_000)],
    )
    detail = ExecutionDetail(execution=execution, input=None, result=None, answer=None, seq=9, nodes=[run])
    (row,) = run_view(detail, graph_view(workflow, catalogue), NOW).rows
    assert [(bar.tone, bar.x, bar.width) for bar in row.bars] == [
        ("pause", 100.0, 900.0),
        ("retry", 0.0, 100.0),
    ]


def test_thousands_of_rounds_stay_a_thousand_bars(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make
) -> None:
    execution = make_execution()
    start = execution.started or 0
    runs = [
        NodeRun(
            node="label",
            path=f"each:{i}",
            state="failed" if i == 777 else "done",
            started=start + i * 1000,
            ended=start + i * 1000 + 900,
        )
        for i in range(5000)
    ]
    detail = ExecutionDetail(execution=execution, input=None, result=None, answer=None, seq=1, nodes=runs)
    (row,) = run_view(detail, graph_view(workflow, catalogue), NOW).rows
    assert len(row.bars) <= WIDTH
    assert row.bars[-1].tone == "fail"
