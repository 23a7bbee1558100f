"""A document as it is drawn: order, trays, labels, words."""

import msgspec

from flowfuse.model import Problem, Workflow
from flowfuse.node import Catalogue
from flowfuse.pages.graph import GraphView, graph_view


def view(workflow: Workflow, catalogue: Catalogue) -> GraphView:
    problems = [Problem("nodes.label.config", "x", "…"), Problem("edges[0]", "y", "…")]
    return graph_view(workflow, catalogue, problems=problems)


def test_a_body_lies_in_its_tray_and_follows_it(workflow: Workflow, catalogue: Catalogue) -> None:
    graph = view(workflow, catalogue)
    assert [node.id for node in graph.nodes] == ["hook", "each", "check", "label", "other", "end"]
    assert [node.id for node in graph.inside("each")] == ["check", "label", "other"]
    assert [node.id for node in graph.nodes if node.is_tray] == ["each"]


def test_cards_speak_in_words(workflow: Workflow, catalogue: Catalogue) -> None:
    said = {node.id: node.summary for node in view(workflow, catalogue).nodes}
    assert said["hook"] == "POST /hook/orders"
    assert said["each"] == "of trigger.body · 8 at once"
    assert said["check"] == "item.n > 1"
    assert said["other"] == "a, b, c and 1 more"
    assert said["end"] == "Answers 200 with nodes.each"


def test_only_telling_ports_are_named(workflow: Workflow, catalogue: Catalogue) -> None:
    labels = {(edge.source, edge.port): edge.label for edge in view(workflow, catalogue).edges}
    assert labels["check", "true"] == "true"
    assert labels["each", "done"] == "done"
    assert labels["each", "item"] == ""
    assert labels["hook", "main"] == ""


def test_the_outline_says_which_way_leads_to_a_row(workflow: Workflow, catalogue: Catalogue) -> None:
    named = {node.id: node.via for node in view(workflow, catalogue).nodes if node.via}
    assert named == {"label": "Big?: yes", "other": "Big?: no"}


def test_problems_mark_their_node(workflow: Workflow, catalogue: Catalogue) -> None:
    assert {n.id: n.problem for n in view(workflow, catalogue).nodes if n.problem} == {"label": "error"}


def test_any_draft_can_be_drawn(catalogue: Catalogue) -> None:
    broken = {
        "nodes": [
            {"id": "a", "type": "no.such_type"},
            {"id": "b", "type": "action.log", "config": {"message": 3}},
            {"id": "c", "type": "condition.switch", "config": {"cases": "none"}},
        ],
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}, {"from": "x", "to": "c"}],
    }
    graph = graph_view(msgspec.convert(broken, Workflow), catalogue)
    assert [node.id for node in graph.nodes] == ["a", "b", "c"]
    assert graph.node("a").tile == "action"  # type: ignore[union-attr]


def test_an_empty_draft_can_be_drawn(catalogue: Catalogue) -> None:
    graph = graph_view(Workflow(nodes=[], edges=[]), catalogue)
    assert graph.nodes == []
    assert not graph.placed
