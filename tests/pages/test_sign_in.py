"""Signing in: passwords and their limits, the second factor, invitations, the owner's setup, sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pyotp
import pytest

from flowfuse.data.second_factor import new_recovery_codes
from flowfuse.data.sessions import Client
from flowfuse.errors import TooManyAttempts, WrongPassword
from flowfuse.model import WORKSPACE
from flowfuse.pages.auth import TOTP_PLACE
from tests.support.local import LocalServer
from tests.support.people import FORM, PASSWORD, Person, member, owner, send_form, with_password
from tests.support.server import Answer, request

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh(tmp_path: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server of the test's own: limits count per server."""
    running = LocalServer(tmp_path_factory.mktemp("sign-in") / "data").start()
    yield running
    running.stop()


def sign_in(server: LocalServer, password: str = PASSWORD, email: str = "ada@example.org") -> Answer:
    return send_form(server, "/sign-in", email=email, password=password)


def person_of(server: LocalServer, answer: Answer) -> Person:
    assert answer.status == 303, answer.raw[:2000]
    return Person(server, "", answer.headers["set-cookie"].partition(";")[0].partition("=")[2])


# -- passwords


def test_guesses_at_once_pass_no_limit(fresh: LocalServer) -> None:
    with_password(fresh)
    auth = fresh.app.auth

    async def guess() -> list[BaseException | object]:
        tries = [auth.sign_in("ada@example.org", "wrong", Client(f"10.0.0.{n}")) for n in range(12)]
        return await asyncio.gather(*tries, return_exceptions=True)

    told = [type(each) for each in fresh.call(guess())]
    assert (told.count(WrongPassword), told.count(TooManyAttempts)) == (5, 7)


def test_signing_in_at_once_is_no_guessing(fresh: LocalServer) -> None:
    with_password(fresh)
    for _ in range(8):
        assert sign_in(fresh).status == 303
    for _ in range(4):
        assert sign_in(fresh, "wrong").status == 401
    assert sign_in(fresh).status == 303


def test_a_password_opens_a_session_and_rotates_the_old_one(fresh: LocalServer) -> None:
    with_password(fresh)
    first = person_of(fresh, sign_in(fresh, email="  Ada@Example.org "))
    me = first.ask("GET", "/api/v1/me").json
    assert (me["role"], me["via"]) == ("editor", "session")
    again = send_form(fresh, "/sign-in", first.cookie, email="ada@example.org", password=PASSWORD)
    second = person_of(fresh, again)
    assert second.secret != first.secret
    assert first.ask("GET", "/api/v1/me").status == 401
    assert second.ask("GET", "/api/v1/me").status == 200


def test_a_wrong_password_is_told_beside_the_field_and_counted(fresh: LocalServer) -> None:
    with_password(fresh)
    for left in ("4 more tries", "3 more tries", "2 more tries", "One more try", "Now a break"):
        answer = sign_in(fresh, "wrong")
        assert answer.status == 401
        assert left in answer.raw.decode()
        assert 'aria-invalid="true"' in answer.raw.decode()
    locked = sign_in(fresh)
    assert locked.status == 429
    assert 0 < int(locked.headers["retry-after"]) <= 900


def test_who_does_not_exist_gets_the_same_answer(fresh: LocalServer) -> None:
    with_password(fresh)
    known, unknown = sign_in(fresh, "wrong"), sign_in(fresh, "wrong", "eve@example.org")
    assert known.status == unknown.status == 401
    assert known.raw.replace(b"ada@", b"eve@") == unknown.raw


def test_an_address_may_guess_twenty_times_whoever_it_asks_for(fresh: LocalServer) -> None:
    with_password(fresh)
    statuses = [sign_in(fresh, "wrong", f"eve{n}@example.org").status for n in range(21)]
    assert statuses == [401] * 20 + [429]
    assert sign_in(fresh).status == 429


def test_the_next_page_is_one_of_ours(fresh: LocalServer) -> None:
    with_password(fresh)
    for wanted, got in (("/runs?x=1", "/runs?x=1"), ("//evil.example", "/"), ("https://evil.example", "/")):
        answer = send_form(fresh, "/sign-in", email="ada@example.org", password=PASSWORD, next=wanted)
        assert (answer.status, answer.headers["location"]) == (303, got)
    page = request("GET", f"{fresh.base}/runs?x=1", headers={"Accept": "text/html"})
    assert page.status == 401
    assert b'name="next" value="/runs?x=1"' in page.raw


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaa", "ada@example.org"])
def test_a_poor_password_is_refused(fresh: LocalServer, password: str) -> None:
    code = fresh.api("POST", "/members", {"email": "ada@example.org", "role": "viewer"}).json["path"]
    answer = send_form(fresh, code, name="Ada", password=password)
    assert answer.status == 400
    assert 'id="password-wrong"' in answer.raw.decode()


# -- the second factor


def with_totp(server: LocalServer) -> tuple[str, list[str]]:
    engine, person = server.app.engine, with_password(server)
    secret = pyotp.random_base32()
    codes, hashes = new_recovery_codes(engine.ids)
    sealed = engine.vault.sealer().seal(secret.encode(), WORKSPACE, TOTP_PLACE.format(user=person.user))
    import msgspec

    kept = msgspec.json.encode(hashes).decode()
    server.call(engine.accounts.change(person.user, totp=sealed, recovery=kept))
    return secret, codes


def ticket_of(server: LocalServer) -> str:
    page = sign_in(server)
    assert page.status == 200
    assert "set-cookie" not in page.headers
    return page.raw.decode().split('name="ticket" value="')[1].partition('"')[0]


def test_the_second_factor_is_asked_for_and_works_once(fresh: LocalServer) -> None:
    secret, _ = with_totp(fresh)
    code = pyotp.TOTP(secret).now()
    answer = send_form(fresh, "/sign-in", ticket=ticket_of(fresh), code=code)
    assert person_of(fresh, answer).ask("GET", "/api/v1/me").status == 200
    again = send_form(fresh, "/sign-in", ticket=ticket_of(fresh), code=code)
    assert again.status == 401


def test_a_recovery_code_works_once(fresh: LocalServer) -> None:
    _, codes = with_totp(fresh)
    assert send_form(fresh, "/sign-in", ticket=ticket_of(fresh), code=codes[3]).status == 303
    assert send_form(fresh, "/sign-in", ticket=ticket_of(fresh), code=codes[3]).status == 401
    assert send_form(fresh, "/sign-in", ticket=ticket_of(fresh), code=codes[4]).status == 303


def test_codes_are_not_guessed(fresh: LocalServer) -> None:
    with_totp(fresh)
    ticket = ticket_of(fresh)
    statuses = [send_form(fresh, "/sign-in", ticket=ticket, code=f"{n:06}").status for n in range(6)]
    assert statuses == [401] * 5 + [429]
    assert send_form(fresh, "/sign-in", ticket="forged", code="000000").status == 401


# -- members


def test_an_invitation_lets_one_choose_a_password_once(fresh: LocalServer) -> None:
    made = fresh.api("POST", "/members", {"email": "Bo@example.org", "role": "operator"})
    assert made.status == 201, made.raw
    path = made.json["path"]
    page = request("GET", fresh.base + path, headers={"Accept": "text/html"})
    assert b"bo@example.org" in page.raw
    person = person_of(fresh, send_form(fresh, path, name="Bo", password=PASSWORD))
    me = person.ask("GET", "/api/v1/me").json
    assert (me["name"], me["role"]) == ("Bo", "operator")
    assert send_form(fresh, path, name="Bo", password=PASSWORD).status == 401
    assert sign_in(fresh, email="bo@example.org").status == 303


def test_a_forgotten_password_is_chosen_anew_by_a_link(fresh: LocalServer) -> None:
    person = with_password(fresh)
    answer = owner(fresh).send(f"/settings/members/{person.user}", link="true")
    path = answer.raw.decode().split("/link/")[1].partition("<")[0].partition('"')[0]
    fresh_password = "another long password"
    assert send_form(fresh, f"/link/{path}", name="Ada", password=fresh_password).status == 303
    assert person.ask("GET", "/api/v1/me").status == 401
    assert sign_in(fresh).status == 401
    assert sign_in(fresh, fresh_password).status == 303
    link = fresh.api("POST", "/links", {"new_password": True}).json["path"]
    page = request("GET", fresh.base + link, headers={"Accept": "text/html"})
    assert b"A new password" in page.raw
    me = person_of(fresh, send_form(fresh, link, name="Owner", password=PASSWORD)).ask("GET", "/api/v1/me")
    assert me.json["role"] == "owner"


def test_nobody_gets_into_other_workspaces_by_a_link(fresh: LocalServer) -> None:
    """A link is the key to all of a person's workspaces: an admin of one must not make it."""
    boss = owner(fresh)
    fresh.call(fresh.app.engine.accounts.change(boss.user, email="boss@example.org"))
    lab = boss.ask("POST", "/api/v1/workspaces", {"name": "Lab"}).json["id"]
    admin = member(fresh, "admin", workspace=lab)
    fresh.api("PATCH", f"/members/{boss.user}", {"role": "owner"})
    boss.ask("POST", "/api/v1/workspaces", {"name": "Another"})
    helper = with_password(fresh, "owner", "helper@example.org")
    for email in ("boss@example.org", "helper@example.org"):
        answer = admin.ask("POST", "/api/v1/members", {"email": email, "role": "viewer"})
        assert (answer.status, answer.json.get("path", "")) in ((201, ""), (409, "")), answer.raw
    for user in (boss.user, helper.user):
        answer = admin.send(f"/settings/members/{user}", link="true")
        assert answer.status == 403
        assert b"/link/" not in answer.raw
    invited = admin.ask("POST", "/api/v1/members", {"email": "new@example.org", "role": "viewer"})
    assert invited.json["path"].startswith("/link/")


def test_a_link_for_a_password_leaves_the_second_factor(fresh: LocalServer) -> None:
    secret, _ = with_totp(fresh)
    user = fresh.call(fresh.app.engine.accounts.find("ada@example.org"))
    page = owner(fresh).send(f"/settings/members/{user.id}", link="true").raw.decode()
    path = "/link/" + page.split("/link/")[1].partition("<")[0].partition('"')[0]
    answer = send_form(fresh, path, name="Ada", password="another long password")
    assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    assert "set-cookie" not in answer.headers
    page = sign_in(fresh, "another long password").raw.decode()
    ticket = page.split('name="ticket" value="')[1].partition('"')[0]
    assert send_form(fresh, "/sign-in", ticket=ticket, code=pyotp.TOTP(secret).now()).status == 303


def test_a_change_of_role_ends_sessions_and_keys_follow_it(fresh: LocalServer) -> None:
    person = member(fresh, "editor")
    key = person.ask("POST", "/api/v1/keys", {"name": "k", "scopes": ["build", "read"]}).json["key"]
    headers = {"Authorization": f"Bearer {key}"}
    assert request("POST", f"{fresh.base}/api/v1/workflows", {}, headers).status not in (401, 403)
    assert fresh.api("PATCH", f"/members/{person.user}", {"role": "viewer"}).status == 204
    assert person.ask("GET", "/api/v1/me").status == 401
    assert request("POST", f"{fresh.base}/api/v1/workflows", {}, headers).status == 403
    assert request("GET", f"{fresh.base}/api/v1/workflows", headers=headers).status == 200
    assert fresh.api("DELETE", f"/members/{person.user}").status == 204
    assert request("GET", f"{fresh.base}/api/v1/workflows", headers=headers).status == 401


def test_owners_are_made_by_owners_and_one_is_left(fresh: LocalServer) -> None:
    first, admin = owner(fresh), member(fresh, "admin")
    assert admin.ask("PATCH", f"/api/v1/members/{first.user}", {"role": "viewer"}).status == 403
    assert admin.ask("PATCH", f"/api/v1/members/{admin.user}", {"role": "owner"}).status == 403
    invited = {"email": "x@example.org", "role": "owner"}
    assert admin.ask("POST", "/api/v1/members", invited).status == 403
    assert first.ask("PATCH", f"/api/v1/members/{first.user}", {"role": "admin"}).status == 409
    assert first.ask("DELETE", f"/api/v1/members/{first.user}").status == 409
    assert first.ask("PATCH", f"/api/v1/members/{admin.user}", {"role": "owner"}).status == 204
    assert first.ask("PATCH", f"/api/v1/members/{first.user}", {"role": "admin"}).status == 204


# -- keys, tokens, sessions


def test_a_key_is_kept_as_a_hash_and_may_not_do_more_than_its_maker(fresh: LocalServer) -> None:
    person = member(fresh, "operator")
    assert person.ask("POST", "/api/v1/keys", {"name": "k", "scopes": ["build"]}).status == 403
    assert person.ask("POST", "/api/v1/keys", {"name": "k", "scopes": ["nonsense"]}).status == 403
    made = person.ask("POST", "/api/v1/keys", {"name": "k", "scopes": ["read"]})
    key = made.json["key"]
    files = [p for p in fresh.data.rglob("*") if p.is_file()]
    assert not [p for p in files if key.encode() in p.read_bytes()]
    headers = {"Authorization": f"Bearer {key}"}
    assert request("GET", f"{fresh.base}/api/v1/workflows", headers=headers).status == 200
    assert request("GET", f"{fresh.base}/api/v1/keys", headers=headers).status == 403
    assert person.ask("DELETE", f"/api/v1/keys/{made.json['id']}").status == 204
    assert request("GET", f"{fresh.base}/api/v1/workflows", headers=headers).status == 401


def test_tokens_are_renewed_once_and_revoked_at_once(fresh: LocalServer) -> None:
    def get(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return request("GET", f"{fresh.base}/api/v1/me", headers=headers).status

    def renew(token: str) -> Answer:
        return request("POST", f"{fresh.base}/api/v1/tokens/refresh", {"refresh_token": token})

    first = member(fresh, "viewer").ask("POST", "/api/v1/tokens", {"scopes": ["read"]}).json
    assert get(first["access_token"]) == 200
    head, claims, signature = first["access_token"].split(".")
    assert get(f"{head}.{claims}.{signature[:-2]}AA") == 401
    assert get(f"eyJhbGciOiJub25lIn0.{claims}.") == 401
    second = renew(first["refresh_token"]).json
    assert get(second["access_token"]) == 200
    # The old one comes again: somebody has stolen it, so all of them end.
    assert renew(first["refresh_token"]).status == 401
    assert get(second["access_token"]) == 401
    assert renew(second["refresh_token"]).status == 401
    third = member(fresh, "viewer").ask("POST", "/api/v1/tokens", {"scopes": ["read"]}).json
    body = {"refresh_token": third["refresh_token"]}
    assert request("POST", f"{fresh.base}/api/v1/tokens/revoke", body).status == 204
    assert get(third["access_token"]) == 401


def test_tokens_end_with_the_key_that_asked_for_them(fresh: LocalServer) -> None:
    person = member(fresh, "viewer")
    made = person.ask("POST", "/api/v1/keys", {"name": "k", "scopes": ["read"]}).json
    headers = {"Authorization": f"Bearer {made['key']}"}
    pair = request("POST", f"{fresh.base}/api/v1/tokens", {"scopes": ["read"]}, headers).json
    access = {"Authorization": f"Bearer {pair['access_token']}"}
    assert request("GET", f"{fresh.base}/api/v1/me", headers=access).status == 200
    assert request("POST", f"{fresh.base}/api/v1/tokens", {"scopes": ["read"]}, access).status == 403
    person.ask("DELETE", f"/api/v1/keys/{made['id']}")
    assert request("GET", f"{fresh.base}/api/v1/me", headers=access).status == 401
    renewed = request("POST", f"{fresh.base}/api/v1/tokens/refresh", {"refresh_token": pair["refresh_token"]})
    assert renewed.status == 401


def test_sessions_are_listed_and_ended_by_their_owner_alone(fresh: LocalServer) -> None:
    person, other = with_password(fresh), member(fresh, "owner")
    second = person_of(fresh, sign_in(fresh))
    listed = person.ask("GET", "/api/v1/sessions").json["items"]
    assert len(listed) == 2
    assert person.secret not in str(listed)
    for session in listed:
        assert other.ask("DELETE", f"/api/v1/sessions/{session['id']}").status == 404
    mine = person.ask("GET", "/api/v1/me").json["session"]
    theirs = next(session["id"] for session in listed if session["id"] != mine)
    assert person.ask("DELETE", f"/api/v1/sessions/{theirs}").status == 204
    assert second.ask("GET", "/api/v1/me").status == 401


def test_a_live_channel_ends_with_its_session(fresh: LocalServer) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    person = with_password(fresh)
    fresh.api("POST", "/workflows", {"id": "watched", "nodes": [], "edges": []})
    address = f"ws://127.0.0.1:{fresh.port}/live/workflows/watched?tab=t"
    headers = {**person.cookie, "Origin": fresh.base}
    with connect(address, additional_headers=headers, close_timeout=2) as socket:
        assert person.send("/sign-out").status == 303
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(timeout=10)


# -- the owner, from the LAN


@pytest.fixture
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server that thinks others can reach it."""
    running = LocalServer(tmp_path_factory.mktemp("lan") / "data", host="0.0.0.0").start()
    yield running
    running.stop()


def set_up(server: LocalServer, code: str, **changes: str) -> Answer:
    fields = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD, **changes}
    return send_form(server, "/setup", code=code, **fields)


def test_on_the_lan_nothing_answers_before_there_is_an_owner(lan: LocalServer) -> None:
    code = lan.app.auth.make_setup_code()
    for path in ("/", "/api/v1/workflows", "/hook/x", "/sign-in", "/link/x", "/resume/x/y"):
        assert request("GET", lan.base + path).status == 403, path
    assert request("GET", f"{lan.base}/setup", headers={"Accept": "text/html"}).status == 200
    assert request("GET", f"{lan.base}/health").status == 200
    wrong = set_up(lan, code, password="short")
    assert (wrong.status, b'id="password-wrong"' in wrong.raw) == (400, True)
    person = person_of(lan, set_up(lan, code))
    assert person.ask("GET", "/api/v1/me").json["role"] == "owner"
    assert set_up(lan, code).status == 410
    assert sign_in(lan).status == 303
    assert request("GET", f"{lan.base}/setup", headers={"Accept": "text/html"}).status == 303


def test_without_an_owner_a_browser_is_led_to_where_one_is_made(lan: LocalServer) -> None:
    page = request("GET", f"{lan.base}/workflows", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status, page.headers["location"]) == (303, "/setup")
    program = request("GET", f"{lan.base}/workflows", headers={"Accept": "application/json"})
    assert (program.status, program.json["code"]) == (403, "denied")
    form = send_form(lan, "/workflows/bulk", act="delete")
    assert form.status == 403
    elsewhere = {"Accept": "text/html", "Host": "evil.example"}
    assert request("GET", f"{lan.base}/workflows", headers=elsewhere).status == 403


def test_the_setup_code_is_not_guessed(lan: LocalServer) -> None:
    code = lan.app.auth.make_setup_code()
    assert len(code) == 32
    assert [set_up(lan, f"{n:032}").status for n in range(6)] == [401] * 5 + [429]
    assert set_up(lan, code).status == 429


def test_the_setup_code_ends_after_a_quarter_of_an_hour(
    lan: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = lan.app.auth.make_setup_code()
    clock = lan.app.engine.clock
    late = clock.now_us() + 15 * 60 * 1_000_000 + 1
    monkeypatch.setattr(clock, "now_us", lambda: late)
    assert set_up(lan, code).status == 410


@pytest.mark.parametrize(
    ("host", "status"),
    [("192.168.1.5:{port}", 200), ("[fd00::1]:{port}", 200), ("evil.example:{port}", 403),
     ("192.168.1.5:1", 403), ("192.168.1.5.evil.example:{port}", 403)],
)  # fmt: skip
def test_on_the_lan_addresses_are_ours_and_names_are_not(lan: LocalServer, host: str, status: int) -> None:
    answer = request("GET", f"{lan.base}/health", headers={"Host": host.format(port=lan.port)})
    assert answer.status == status


def test_forms_from_elsewhere_are_refused(fresh: LocalServer) -> None:
    with_password(fresh)
    headers = {**FORM, "Origin": "https://evil.example"}
    answer = request("POST", f"{fresh.base}/sign-in", b"email=ada%40example.org&password=x", headers)
    assert answer.status == 403
