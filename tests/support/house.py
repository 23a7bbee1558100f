"""A house with something on every page: workflows of each kind, runs of each state, people, connections."""

from __future__ import annotations

from typing import Any

from tests.support.local import LocalServer
from tests.support.server import request

HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>"


def fill(server: LocalServer) -> None:
    """Put something on every page, hostile names included."""
    for document in (ORDERS, REPORT, PAY, BROKEN, HURT):
        server.publish(document)
    server.api("POST", "/workflows", {**ORDERS, "id": "waiting", "name": "Not published", "nodes": [
        {"id": "hook", "type": "trigger.webhook", "config": {"path": "waiting"}}], "edges": []})  # fmt: skip
    for number in range(6):
        body = {"number": number, "customer": HOSTILE if number == 3 else "Ada"}
        request("POST", f"{server.base}/hook/orders", body)
    request(
        "POST", f"{server.base}/hook/waiting", {"early": True}, {"Authorization": "Bearer secret-of-mine"}
    )
    for name, value in (("pay", {"number": 17}), ("broken", {"n": 1}), ("broken", {"n": 2}), ("hurt", {})):
        request("POST", f"{server.base}/hook/{name}", value)
    for id, kind, data in (
        ("shop", "bearer", {"token": "a-secret-token"}),
        ("erp", "basic", {"user": "ada", "password": "a-secret-password"}),
        ("hmac", "hmac", {"secret": "a-secret-secret"}),
    ):
        hosts = [] if kind == "hmac" else ["api.example.org"]
        body = {"id": id, "name": f"{id.title()} {HOSTILE if id == 'erp' else ''}", "kind": kind,
                "hosts": hosts, "data": data}  # fmt: skip
        assert server.api("POST", "/credentials", body).status == 201
    server.api("POST", "/workflows", {"id": "old", "name": "An old one", "nodes": [], "edges": []})
    server.api("DELETE", "/workflows/old")
    server.api("POST", "/members", {"email": "ada@example.org", "role": "editor", "name": "Ada Lovelace"})


def _hooked(id: str, name: str, then: list[dict[str, Any]], edges: list[dict[str, str]]) -> dict[str, Any]:
    hook = {"id": "hook", "type": "trigger.webhook", "config": {"path": id, "respond": "last_node"}}
    return {
        "id": id,
        "name": name,
        "folder": "Sales",
        "tags": ["shop"],
        "nodes": [hook, *then],
        "edges": edges,
    }


ORDERS = _hooked(
    "orders", "Orders to labels",
    [{"id": "set", "type": "transform.set", "config": {"fields": {"n": "{{ trigger.body.number }}"}}},
     {"id": "call", "type": "action.log", "credential": "shop", "config": {"message": "x"}}],
    [{"from": "hook", "to": "set"}, {"from": "set", "to": "call"}],
)  # fmt: skip
PAY = _hooked(
    "pay", "Pay invoices",
    [{"id": "approve", "type": "action.approval",
      "config": {"title": "Pay invoice {{ trigger.body.number }}?", "details": {"amount": 812.4}, "within": "7d"}}],
    [{"from": "hook", "to": "approve"}],
)  # fmt: skip
PAY["nodes"][0]["config"]["respond"] = "at_once"
BROKEN = _hooked(
    "broken", "Parcel labels",
    [{"id": "stop", "type": "action.fail", "config": {"message": "Parcel {{ trigger.body.n }} was refused."}}],
    [{"from": "hook", "to": "stop"}],
)  # fmt: skip
HURT = _hooked(
    "hurt", HOSTILE, [{"id": "stop", "type": "action.fail", "config": {"message": HOSTILE}}],
    [{"from": "hook", "to": "stop"}],
)  # fmt: skip
REPORT = {
    "id": "report", "name": "Day report to Jonas", "folder": "Accounts", "description": "Each morning",
    "nodes": [
        {"id": "at", "type": "trigger.schedule", "config": {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"}},
        {"id": "often", "type": "trigger.schedule", "config": {"every": "15m"}},
        {"id": "say", "type": "action.log", "config": {"message": "hello"}},
    ],
    "edges": [{"from": "at", "to": "say"}, {"from": "often", "to": "say"}],
}  # fmt: skip
