"""What the page of a run shows: states, rounds, timeline."""

from collections.abc import Callable

from flowfuse.model import Execution, ExecutionDetail, NodeRun, Workflow
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


def test_the_timeline_has_no_row_for_what_did_not_run(
    workflow: Workflow, catalogue: Catalogue, make_execution: Make, make_detail: Detail
) -> None:
    view = run_view(make_detail(make_execution()), graph_view(workflow, catalogue), NOW)
    assert [row.node.id for row in view.rows] == ["hook", "each", "check", "label"]
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for row in view.rows for bar in row.bars)
    assert [bar.tone for bar in view.rows[-1].bars] == ["ok", "ok", "fail"]


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
