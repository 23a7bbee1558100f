"""The pages beside the editor, by what their forms do: workflows and trash, runs, inbox, schedules, webhooks,
connections, settings."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.house import HOSTILE, fill
from tests.support.local import LocalServer
from tests.support.people import PASSWORD, Person, member, owner, send_form
from tests.support.server import request

pytestmark = pytest.mark.slow
PAGES = ("/", "/workflows", "/workflows/trash", "/runs", "/inbox", "/schedules", "/webhooks",
         "/webhooks/hurt/hook", "/connections", "/connections/erp", "/audit")  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path_factory.mktemp("lists") / "data").start()
    fill(server)
    yield server
    server.stop()


@pytest.fixture
def person(full: LocalServer) -> Person:
    return owner(full)


def follow(person: Person, path: str, **fields: object) -> str:
    """Send a form, and read the page that one is sent to."""
    answer = person.send(path, **fields)
    assert answer.status == 303, answer.raw[:1500]
    return person.page(answer.headers["location"])


def until(seen: Callable[[], bool]) -> None:
    """Until a page says it, or nothing more comes."""
    for _ in range(200):
        if seen():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


@pytest.mark.parametrize("path", PAGES)
def test_hostile_data_is_text(person: Person, path: str) -> None:
    page = person.page(path)
    assert "<img src=x" not in page
    assert "<script>alert" not in page


def test_hostile_data_is_there(person: Person) -> None:
    assert HOSTILE.partition(">")[0].replace("<", "&lt;") in person.page("/workflows")


# -- workflows


def test_workflows_are_found_by_words_folder_tag_and_state(person: Person) -> None:
    def names(query: str) -> list[str]:
        return re.findall(r'class="w-link" href="/workflows/([^"]+)"', person.page(f"/workflows?{query}"))

    assert set(names("q=labels")) == {"orders", "broken"}
    assert names("folder=Accounts") == ["report"]
    assert "report" not in names("tag=shop")
    assert names("state=draft") == ["waiting"]
    assert "No workflow fits." in person.page("/workflows?q=nothing-like-it")


def test_several_are_tagged_moved_published_and_put_in_the_trash(full: LocalServer, person: Person) -> None:
    for name in ("one", "two"):
        full.api("POST", "/workflows", {"id": name, "nodes": [], "edges": []})
    page = follow(person, "/workflows/bulk", act="tag", id=["one", "two"], value="fresh")
    assert "2 workflows tagged." in page
    follow(person, "/workflows/bulk", act="move", id=["one"], value="Lab/Deep")
    assert full.api("GET", "/workflows/one").json["document"]["folder"] == "Lab/Deep"
    page = follow(person, "/workflows/bulk", act="publish", id=["one", "gone"])
    assert "gone" in page
    page = follow(person, "/workflows/bulk", act="delete", id=["one", "two"])
    assert "2 workflows put in the trash." in page
    assert full.api("GET", "/workflows/one").status == 404
    numbers = re.findall(r'name="number" value="(\d+)"', page)
    assert len(numbers) == 2
    page = follow(person, "/workflows/trash/restore", number=numbers)
    assert "2 workflows restored" in page
    assert full.api("GET", "/workflows/one").json["document"]["tags"] == ["fresh"]


def test_the_trash_keeps_versions_and_refuses_a_name_that_is_taken(full: LocalServer, person: Person) -> None:
    start = {"id": "start", "type": "trigger.manual"}
    full.publish({"id": "kept", "nodes": [start], "edges": []})
    full.api("DELETE", "/workflows/kept")
    full.api("POST", "/workflows", {"id": "kept", "nodes": [], "edges": []})
    (number,) = re.findall(r'value="(\d+)">Restore', person.page("/workflows/trash"))[:1]
    assert person.send("/workflows/trash/restore", number=number).status == 409
    full.api("DELETE", "/workflows/kept")
    newest = re.findall(r'value="(\d+)">Restore', person.page("/workflows/trash"))
    follow(person, f"/workflows/trash/{newest[0]}/destroy")
    follow(person, "/workflows/trash/restore", number=number)
    versions = full.api("GET", "/workflows/kept/versions").json["items"]
    assert [version["number"] for version in versions] == [1]
    assert full.api("GET", "/workflows/kept").json["workflow"]["active"] is False


def test_the_trash_is_emptied_after_thirty_days(full: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    full.api("POST", "/workflows", {"id": "passing", "nodes": [], "edges": []})
    full.api("DELETE", "/workflows/passing")
    engine = full.app.engine
    names = [item.workflow for item in full.call(engine.trash.list("main"))]
    assert "passing" in names
    now = engine.clock.now_us()
    monkeypatch.setattr(engine.trash._clock, "now_us", lambda: now + 31 * 86400 * 1_000_000)
    full.call(engine.trash.empty_old())
    monkeypatch.undo()
    assert full.call(engine.trash.list("main")) == []


# -- runs


def test_failures_are_grouped_by_cause_and_retried_together(full: LocalServer, person: Person) -> None:
    page = person.page("/runs?state=failed")
    assert "Parcel" in page
    assert "Retry all 2" in page
    cause = re.findall(r'name="cause" value="(\w+)"', page)[0]
    page = follow(person, "/runs/bulk", act="retry", cause=cause, here="/runs")
    assert "2 runs queued again." in page
    follow(person, "/runs/bulk", act="discard", cause=cause)
    dead = full.api("GET", "/dead-letters").json["items"]
    assert not [run for run in dead if run["workflow"] == "broken" and run["number"] < 3]


def test_a_view_is_kept_for_whoever_keeps_it(full: LocalServer, person: Person) -> None:
    page = follow(person, "/runs/views", name="Bad ones", query="state=failed&evil=1&span=day")
    assert "Bad ones" in page
    assert "evil" not in page.partition("Bad ones")[2].partition("</nav>")[0]
    assert "Bad ones" not in member(full, "viewer").page("/runs")
    follow(person, "/runs/views", name="Bad ones", forget="true")
    assert "Bad ones" not in person.page("/runs")


# -- inbox


def test_a_decision_in_the_inbox_lets_the_run_go_on(full: LocalServer, person: Person) -> None:
    request("POST", f"{full.base}/hook/pay", {"number": 99})
    until(lambda: "Pay invoice 99?" in person.page("/inbox"))
    run = full.api("GET", "/executions?workflow=pay").json["items"][0]["id"]
    assert member(full, "viewer").send(f"/inbox/{run}", node="approve", answer="approved").status == 403
    follow(person, f"/inbox/{run}", node="approve", answer="approved")
    until(lambda: full.api("GET", f"/executions/{run}").json["execution"]["state"] == "completed")
    assert "Pay invoice 99?" not in person.page("/inbox")


# -- schedules


def test_a_schedule_is_paused_and_resumed(full: LocalServer, person: Person) -> None:
    page = follow(person, "/schedules", workflow="report", node="at", pause="true")
    assert "Paused" in page
    follow(person, "/schedules", workflow="report", node="at", pause="false")
    items = full.api("GET", "/schedules").json["items"]
    assert [item["paused"] for item in items] == [False, False]
    assert "Every 15 minutes" in person.page("/schedules")


# -- webhooks


def test_a_call_that_came_too_early_is_caught_without_its_secret_and_replayed(
    full: LocalServer, person: Person
) -> None:
    page = person.page("/webhooks/waiting/hook")
    assert "caught, not published" in page
    assert "secret-of-mine" not in page
    key = re.findall(r'name="key" value="(\d+)"', page)[0]
    answer = person.send("/webhooks/waiting/hook/replay", key=key)
    assert answer.status == 303
    started = answer.headers["location"].rpartition("/")[2]
    run = full.api("GET", "/executions?workflow=waiting").json["items"][0]
    assert run["id"] == started
    detail = full.api("GET", f"/executions/{run['id']}").json
    assert detail["input"]["body"] == {"early": True}


def test_calls_are_kept_to_twenty_and_unknown_addresses_keep_nothing(full: LocalServer) -> None:
    for number in range(23):
        assert request("POST", f"{full.base}/hook/waiting", {"n": number}).status == 404
    calls = full.call(full.app.engine.calls.list("main", "waiting", "hook"))
    assert len(calls) == 20
    assert calls[0].request["body"] == {"n": 22}
    assert request("POST", f"{full.base}/hook/no-such-address", {}).status == 404


def test_a_refused_call_is_kept_without_what_proves_who_called(full: LocalServer) -> None:
    hook = {"id": "hook", "type": "trigger.webhook", "credential": "shop",
            "config": {"path": "guarded", "auth": "bearer"}}  # fmt: skip
    full.publish({"id": "guarded", "nodes": [hook], "edges": []})
    headers = {"Authorization": "Bearer a-wrong-secret", "X-Api-Key": "another-secret"}
    for _ in range(4):
        assert request("POST", f"{full.base}/hook/guarded", {}, headers).status == 401
    calls = full.call(full.app.engine.calls.list("main", "guarded", "hook"))
    # Of a flood, a few: they come faster than one is kept.
    assert 1 <= len(calls) < 4
    assert calls[0].status == 401
    assert "secret" not in str(calls[0].request)


def test_a_test_call_runs_the_draft(full: LocalServer, person: Person) -> None:
    answer = person.send("/webhooks/orders/hook/test", body='{"number": 5}')
    assert answer.status == 303
    run = full.api("GET", "/executions?workflow=orders").json["items"][0]
    assert run["mode"] == "test"


# -- connections


def test_a_connection_is_made_changed_and_never_shown(full: LocalServer, person: Person) -> None:
    fields = {"kind": "bearer", "name": "My Service", "hosts": "api.example.org", "secret_token": "tok-12345"}
    page = follow(person, "/connections/new", **fields)
    assert "My Service" in page
    again = person.send("/connections/new", **fields)
    assert (again.status, b'id="name-wrong"' in again.raw) == (409, True)
    wrong = person.send("/connections/new", **{**fields, "name": "Other", "hosts": "http://x/"})
    assert (wrong.status, b'id="hosts-wrong"' in wrong.raw) == (400, True)
    page = follow(person, "/connections/my-service", kind="bearer", name="Renamed", hosts="api.example.org")
    assert "Renamed" in page
    assert "tok-12345" not in page
    opened = full.call(full.app.engine.vault.open("main", "my-service"))
    assert opened.data == {"token": "tok-12345"}
    assert re.search(r"Used by \d workflow", person.page("/connections/shop"))
    follow(person, "/connections/my-service/delete")
    assert person.ask("GET", "/connections/my-service", accept="text/html").status == 404


def test_a_secret_goes_to_new_hosts_only_where_it_is_typed_anew(full: LocalServer) -> None:
    person = member(full, "editor")
    first = {"kind": "basic", "name": "Bank", "hosts": ".bank.example", "secret_user": "ada"}
    follow(person, "/connections/new", **first, secret_password="tok-67890")
    change = {"kind": "basic", "name": "Bank", "secret_user": ""}
    for hosts in ("evil.example", "bank.example.evil.example", ".example", ".bank.example evil.example"):
        wrong = person.send("/connections/bank", **change, hosts=hosts)
        assert (wrong.status, b'id="hosts-wrong"' in wrong.raw) == (400, True), hosts
        wrong = person.send("/connections/bank", **change, hosts=hosts, secret_password="")
        assert wrong.status == 400
    opened = full.call(full.app.engine.vault.open("main", "bank"))
    assert (opened.hosts, opened.data) == ((".bank.example",), {"user": "ada", "password": "tok-67890"})
    follow(person, "/connections/bank", **change, hosts="api.bank.example", secret_password="new-67890")
    opened = full.call(full.app.engine.vault.open("main", "bank"))
    assert (opened.hosts, opened.data) == (("api.bank.example",), {"user": "ada", "password": "new-67890"})
    follow(person, "/connections/bank", kind="basic", name="Bank", hosts="other.example", secret_user="bo",
           secret_password="other-67890")  # fmt: skip
    assert full.call(full.app.engine.vault.open("main", "bank")).hosts == ("other.example",)


def test_a_call_that_is_caught_shows_not_what_its_caller_is_known_by(full: LocalServer) -> None:
    data = {"name": "X-Shop", "value": "right-67890"}
    body = {"id": "known", "kind": "header", "hosts": ["shop.example"], "data": data}
    assert full.api("POST", "/credentials", body).status == 201
    hook = {"id": "hook", "type": "trigger.webhook", "credential": "known",
            "config": {"path": "waits", "auth": "header"}}  # fmt: skip
    full.api("POST", "/workflows", {"id": "waits", "nodes": [hook], "edges": []})
    headers = {"X-Shop": "right-67890", "X-Other": "seen", "Content-Type": "application/json; charset=utf-8"}
    for _ in range(3):
        assert request("POST", f"{full.base}/hook/waits", b'{"n": 1}', headers).status == 404
    calls = full.call(full.app.engine.calls.list("main", "waits", "hook"))
    assert len(calls) == 3
    assert "right-67890" not in str(calls[0].request)
    assert calls[0].request["headers"]["x-other"] == "seen"
    assert calls[0].request["body"] == {"n": 1}


# -- settings


def test_a_setting_is_checked_beside_its_field_and_goes_back_to_its_default(
    full: LocalServer, person: Person
) -> None:
    wrong = person.send("/settings", key="history.keep_days", value="-3")
    assert (wrong.status, b'id="history.keep_days-wrong"' in wrong.raw) == (400, True)
    assert person.send("/settings", key="history.keep_days", value="many").status == 400
    assert "changed" in follow(person, "/settings", key="history.keep_days", value="14")
    assert "history.keep_days" in person.page("/settings?q=keep+runs")
    follow(person, "/settings", key="history.keep_days", default="true")
    items = full.api("GET", "/settings").json["items"]
    assert not [item for item in items if item["changed"]]
    assert person.send("/settings", key="no.such", value="1").status == 400
    assert member(full, "editor").send("/settings", key="history.keep_days", value="1").status == 403


def test_allowed_addresses_hold_at_once(full: LocalServer, person: Person) -> None:
    import ipaddress

    def refused() -> str | None:
        return full.app.engine.guard.refusal("nas.lan", ipaddress.ip_address("10.1.2.3"), 80, trusted=False)

    assert refused() is not None
    assert person.send("/settings", key="network.allow", value="10.0.0.0/99").status == 400
    follow(person, "/settings", key="network.allow", value="10.0.0.0/8")
    assert refused() is None
    follow(person, "/settings", key="network.allow", default="true")
    assert refused() is not None


def test_a_password_and_a_second_factor_are_set_up_by_the_forms(full: LocalServer) -> None:
    import pyotp

    person = member(full, "editor", email="totp@example.org")
    answer = person.send("/settings/account/password", password=PASSWORD)
    assert answer.status == 303
    person.secret = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    wrong = person.send("/settings/account/second-factor", current="wrong")
    assert wrong.status == 401
    page = person.send("/settings/account/second-factor", current=PASSWORD).raw.decode()
    secret, begun = (
        page.split(f'name="{name}" value="')[1].partition('"')[0] for name in ("secret", "begun")
    )
    assert "<svg" in page
    mine = pyotp.random_base32()
    for sent in ({}, {"begun": begun}):
        stolen = person.send(
            "/settings/account/second-factor", secret=mine, code=pyotp.TOTP(mine).now(), **sent
        )
        assert stolen.status == 400
    code = pyotp.TOTP(secret).now()
    form = {"secret": secret, "begun": begun, "code": code}
    page = person.send("/settings/account/second-factor", **form).raw.decode()
    assert len(re.findall(r"<li>[a-z2-9]{6}-[a-z2-9]{6}</li>", page)) == 10
    asked = send_form(full, "/sign-in", email="totp@example.org", password=PASSWORD)
    assert b'name="ticket"' in asked.raw


def test_a_key_is_shown_once(full: LocalServer) -> None:
    person = member(full, "editor")
    answer = person.send("/settings/keys", name="deploy", scopes=["read", "build"], days="30")
    key = re.findall(r"ff_[\w-]+_[0-9a-f]{8}", answer.raw.decode())[0]
    bearer = {"Authorization": f"Bearer {key}"}
    assert request("GET", f"{full.base}/api/v1/me", headers=bearer).json["permissions"] == ["build", "read"]
    assert key not in person.page("/settings/keys")
    assert person.send("/settings/keys", name="x", scopes=["own"]).status == 403


def test_one_sees_in_which_workspace_one_is(full: LocalServer) -> None:
    person = member(full, "owner")
    follow(person, "/settings/members/workspaces", name="The Lab")
    lab = next(
        each for each in person.ask("GET", "/api/v1/workspaces").json["items"] if each["name"] == "The Lab"
    )
    assert "The Lab" not in person.page("/")
    answer = person.send(f"/settings/account/workspace/{lab['id']}")
    assert answer.status == 303
    assert person.ask("GET", "/api/v1/me").status == 401
    person.secret = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    assert "The Lab" in person.page("/")
    assert "No workflow yet." in person.page("/workflows")
    follow(person, "/settings/members/workspaces", name="The Shed", rename="true")
    assert "The Shed" in person.page("/")
    assert person.ask("GET", "/settings/network", accept="text/html").status == 404
    assert person.send("/settings/backups").status == 403
    stranger = member(full, "owner")
    assert stranger.send(f"/settings/account/workspace/{lab['id']}").status == 404


# -- languages


def test_every_page_speaks_german(full: LocalServer, person: Person) -> None:
    for path in PAGES:
        answer = person.ask("GET", path, accept="text/html", accept_language="de-DE,de;q=0.9,en;q=0.5")
        assert b'<html lang="de"' in answer.raw, path
    assert "Abläufe" in person.ask("GET", "/", accept="text/html", accept_language="de").raw.decode()


# -- the first run


def test_the_first_run_is_one_click_away_and_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = LocalServer(tmp_path_factory.mktemp("first") / "data", demos=True).start()
    try:
        person = owner(server)
        page = person.page("/")
        workflow = re.findall(r'name="workflow" value="([^"]+)"', page)[0]
        answer = person.send("/tour", workflow=workflow)
        assert answer.status == 303
        run = answer.headers["location"].rpartition("/")[2]
        until(lambda: server.api("GET", f"/executions/{run}").json["execution"]["state"] == "completed")
        assert 'action="/tour"' not in person.page("/")
    finally:
        server.stop()


# -- home


def test_home_shows_the_workflows_in_which_something_happened_last(server: LocalServer) -> None:
    person = owner(server)
    for number in range(14):
        server.publish({"id": f"many-{number}", "name": f"Many {number}", "nodes": [
            {"id": "go", "type": "trigger.manual"}], "edges": []})  # fmt: skip
    assert server.api("POST", "/workflows/many-0/run", {"version": "published", "wait": 20}).status == 202
    shown = re.findall(r'href="/workflows/(many-\d+)"', person.page("/"))
    assert list(dict.fromkeys(shown)) == ["many-0", *(f"many-{number}" for number in range(13, 2, -1))]


# -- breakers: a server of its own, since runs wait while one is open


def test_an_open_breaker_stands_on_home_and_is_tried(server: LocalServer) -> None:
    person = owner(server)
    breaker = server.app.engine.controller.breaker

    async def fail() -> None:
        from flowfuse.errors import ConnectionLost

        for _ in range(60):
            _, trial = breaker.admit("main", "shop.example")
            breaker.ended(
                "main", "shop.example", ConnectionLost(method="GET", host="x", reason="y"), trial=trial
            )

    server.call(fail())
    assert "Try now" in person.page("/")
    assert member(server, "viewer").send("/breakers/try", connector="shop.example").status == 403
    follow(person, "/breakers/try", connector="shop.example")
    assert person.send("/breakers/try", connector="nobody.example").status == 409


# -- ways back


def test_unpublishing_and_deleting_are_undone_with_what_was_live(full: LocalServer, person: Person) -> None:
    clock = {"id": "tick", "type": "trigger.schedule", "config": {"every": "1h"}}
    hook = {"id": "hook", "type": "trigger.webhook", "config": {"path": "back-again"}}
    full.publish({"id": "live-one", "nodes": [clock, hook], "edges": []})
    full.api("POST", "/schedules/live-one/tick/pause")
    before = full.api("GET", "/schedules").json["items"]
    for act, undo in (("unpublish", "/workflows/live"), ("delete", "/workflows/trash/restore")):
        page = follow(person, "/workflows/bulk", act=act, id="live-one")
        form = re.search(rf'<form method="post" action="{undo}">.*?</form>', page)
        assert form is not None, page[:3000]
        fields: dict[str, list[str]] = {}
        for name, value in re.findall(r'name="(\w+)" value="([^"]+)"', form[0]):
            fields.setdefault(name, []).append(value)
        follow(person, undo, **fields)
        shown = full.api("GET", "/workflows/live-one").json["workflow"]
        assert (shown["active"], shown["published"]) == (True, 1)
        after = [
            each for each in full.api("GET", "/schedules").json["items"] if each["workflow"] == "live-one"
        ]
        assert [each["paused"] for each in after] == [True], before
    assert full.call(full.app.engine.workflows.hooks())
    assert person.send("/workflows/live", was="live-one:x").status == 400


def test_a_deleted_connection_comes_back_with_its_secret(full: LocalServer, person: Person) -> None:
    made = {
        "kind": "bearer",
        "id": "back",
        "name": "Back",
        "hosts": "api.example.org",
        "secret_token": "s3cret",
    }
    follow(person, "/connections/new", **made)
    page = follow(person, "/connections/back/delete")
    assert "Connection deleted." in page
    assert 'action="/connections/back/restore"' in page
    assert person.ask("GET", "/connections/back", accept="text/html").status == 404
    follow(person, "/connections/back/restore")
    opened = full.call(full.app.engine.vault.open("main", "back"))
    assert opened.data == {"token": "s3cret"}
    assert person.send("/connections/back/restore").status == 404


def test_a_deleted_connection_is_gone_after_a_day(
    full: LocalServer, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"kind": "bearer", "id": "gone", "name": "Gone", "hosts": "api.example.org", "secret_token": "s"}
    follow(person, "/connections/new", **made)
    follow(person, "/connections/gone/delete")
    vault, now = full.app.engine.vault, full.app.engine.clock.now_us()
    monkeypatch.setattr(vault._clock, "now_us", lambda: now + 25 * 3600 * 1_000_000)
    full.call(vault.forget_old())
    monkeypatch.undo()
    assert person.send("/connections/gone/restore").status == 404


def test_discarded_runs_are_taken_back(full: LocalServer, person: Person) -> None:
    letters = full.app.engine.dead_letters
    open_ones = [run.id for run in full.call(letters.list("main"))]
    assert open_ones
    page = follow(person, "/runs/bulk", act="discard", id=open_ones)
    assert 'action="/runs/take-back"' in page
    assert full.call(letters.list("main")) == []
    follow(person, "/runs/take-back", id=open_ones)
    assert [run.id for run in full.call(letters.list("main"))] == open_ones


@pytest.mark.parametrize("path", ["/settings/keys", "/settings/members", "/workflows/trash"])
def test_what_cannot_be_undone_says_first_what_it_means(full: LocalServer, person: Person, path: str) -> None:
    member(full, "viewer")
    full.api("POST", "/keys", {"name": "For a script", "scopes": ["read"]})
    full.api("POST", "/workflows", {"id": "thrown-away", "nodes": [], "edges": []})
    full.api("DELETE", "/workflows/thrown-away")
    page = person.page(path)
    asked = re.findall(r'<details class="ask">.*?</details>', page, re.DOTALL)
    assert asked
    assert all('method="post"' in each for each in asked)


# -- the settings' search, sizes and bounds


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("theme", "/settings/account#theme"), ("dunkel", "/settings/account#theme"),
        ("language", "/settings/account#language"), ("password", "/settings/account#password"),
        ("Passwort", "/settings/account#password"), ("second factor", "/settings/account#second-factor"),
        ("2fa", "/settings/account#second-factor"), ("session", "/settings/account#sessions"),
        ("email", "/settings/account#email"), ("api key", "/settings/keys"),
        ("backup", "/settings/backup"), ("member", "/settings/members"),
        ("shortcuts", "/settings/account#single_keys"), ("history", "/settings/history#history.keep_days"),
    ],
)  # fmt: skip
def test_the_search_leads_to_whatever_can_be_changed(person: Person, typed: str, place: str) -> None:
    shown = person.page(f"/settings?q={typed.replace(' ', '+')}")
    assert f'href="{place}' in shown
    if "#" in place and "." not in place:
        address, _, anchor = place.partition("#")
        assert f'id="{anchor}"' in person.page(address)


def test_whoever_may_not_administer_finds_what_is_their_own(full: LocalServer) -> None:
    shown = member(full, "viewer").page("/settings?q=password")
    assert "/settings/account#password" in shown
    assert "history.keep" not in member(full, "viewer").page("/settings?q=keep")


def test_a_setting_says_its_bounds_in_words(person: Person) -> None:
    assert "From 0 to 36,500" in person.page("/settings/history")
    wrong = person.send("/settings", key="history.keep_days", value="-4")
    assert wrong.status == 400
    assert b"-4.0 is not a number from 0 to 36,500" in wrong.raw
    assert b"Expected" not in wrong.raw


def test_a_size_is_typed_as_one(full: LocalServer, person: Person) -> None:
    page = follow(person, "/settings", key="history.keep_bytes", value="2 GB")
    assert 'value="2 GB"' in page
    items = {item["key"]: item for item in full.api("GET", "/settings").json["items"]}
    assert items["history.keep_bytes"]["value"] == 2_000_000_000
    assert b"is no size such as 2 GB" in person.send("/settings", key="history.keep_bytes", value="big").raw
    follow(person, "/settings", key="history.keep_bytes", default="true")


# -- versions, and what starts next


def test_a_version_says_who_made_it_and_is_either_side(full: LocalServer, person: Person) -> None:
    start = {"id": "start", "type": "trigger.manual"}
    full.publish({"id": "sided", "nodes": [start], "edges": []})
    ada = member(full, "editor")
    assert ada.ask("POST", "/workflows/sided/versions", {"note": "Mine"}).status == 201
    assert next(v["author"] for v in full.api("GET", "/workflows/sided/versions").json["items"]) == "Editor"
    page = person.page("/workflows/sided/versions?a=2&b=1")
    assert "· Editor" in page
    assert 'href="/workflows/sided/versions?a=1&amp;b=1"' in page
    assert 'href="/workflows/sided/versions?a=2&amp;b=2"' in page
    assert 'href="/workflows/sided/export?version=2"' in page


def test_home_names_what_starts_next(full: LocalServer, person: Person) -> None:
    clock = {"id": "tick", "type": "trigger.schedule", "config": {"every": "7m"}}
    full.publish({"id": "soon", "name": "Soon enough", "nodes": [clock], "edges": []})
    page = person.page("/")
    listed = page[page.index('class="nexts"') : page.index("</ul>", page.index('class="nexts"'))]
    assert '<a class="w-link" href="/workflows/soon">Soon enough</a>' in listed
    assert "Every 7 minutes" in listed
