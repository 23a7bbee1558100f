"""action.http_request in a run: bodies, answers, files, pages, proxies, secrets."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from flowfuse.app import Engine
from flowfuse.model import WORKSPACE
from tests.nodes.conftest import Chain, chain
from tests.support.peer import Asked, Peer, Said, say

pytestmark = pytest.mark.slow

Problems = Callable[[dict[str, Any]], list[tuple[str, str]]]


def call(url: str, name: str = "call", **config: Any) -> dict[str, Any]:
    fields = {key: config.pop(key) for key in ("credential", "retry", "timeout", "on_error") if key in config}
    return {"id": name, "type": "action.http_request", "config": {"url": url, **config}, **fields}


def echo(asked: Asked) -> Said:
    return say({"method": asked.method, "query": asked.query, "body": asked.body.decode(), **asked.headers})


async def sent(run: Chain, peer: Peer, value: Any = None, **config: Any) -> Asked:
    ended = await run(chain(call(f"{peer.base}/x", **{"method": "POST", **config})), value)
    assert ended["state"] == "completed", ended
    return peer.asked[-1]


async def test_bodies(run: Chain) -> None:
    async with Peer(echo) as peer:
        asked = await sent(run, peer, body={"a": [1, "ü"]})
        assert (asked.headers["content-type"], json.loads(asked.body)) == (
            "application/json",
            {"a": [1, "ü"]},
        )
        asked = await sent(
            run, peer, body={"a": ["1", 2], "b": "ü &", "c": None, "d": True}, body_type="form"
        )
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
        assert asked.body == b"a=1&a=2&b=%C3%BC+%26&d=true"
        asked = await sent(run, peer, body="plain ü")
        assert (asked.headers["content-type"], asked.body) == (
            "text/plain; charset=utf-8",
            "plain ü".encode(),
        )
        asked = await sent(run, peer, body={"a": 1}, body_type="none")
        assert asked.body == b""
        asked = await sent(run, peer, body="<a/>", headers={"Content-Type": "application/xml", "X-N": 5})
        assert (asked.headers["content-type"], asked.headers["x-n"]) == ("application/xml", "5")
        asked = await sent(run, peer, method="GET", query={"a": [1, 2], "b": "x y", "c": None})
        assert asked.target == "/x?a=1&a=2&b=x%20y" or asked.target == "/x?a=1&a=2&b=x+y"


async def test_files_go_out_and_come_in(run: Chain, engine: Engine) -> None:
    image = bytes(range(256)) * 1000

    def answering(asked: Asked) -> Said:
        if asked.method == "GET":
            return (
                200,
                {"content-type": "image/png", "content-disposition": 'attachment; filename="a b.png"'},
                image,
            )
        return echo_bytes(asked)

    def echo_bytes(asked: Asked) -> Said:
        return say(
            {
                "sha": hashlib.sha256(asked.body).hexdigest(),
                "type": asked.headers["content-type"],
                "length": asked.headers.get("content-length"),
            }
        )

    async with Peer(answering) as peer:
        fetch = call(f"{peer.base}/i", "fetch")
        put = call(f"{peer.base}/u", "put", method="PUT", body="{{ nodes.fetch.body }}", body_type="file")
        parts = call(
            f"{peer.base}/m", "parts", method="POST", body_type="multipart",
            body={"note": "ü", "many": ["{{ nodes.fetch.body }}", "{{ nodes.fetch.body }}"], "n": 3},
        )  # fmt: skip
        ended = await run(chain(fetch, put, parts))
        assert ended["state"] == "completed", ended
        plan_detail = await engine.history.detail(WORKSPACE, ended["id"])
        outputs = {node.node: node.output for node in plan_detail.nodes}
        sha = hashlib.sha256(image).hexdigest()
        assert outputs["fetch"]["body"] == {
            "$file": sha,
            "name": "a b.png",
            "type": "image/png",
            "size": len(image),
        }
        assert outputs["put"]["body"] == {"sha": sha, "type": "image/png", "length": str(len(image))}
        multipart = peer.asked[-1]
    assert multipart.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert multipart.body.count(image) == 2
    assert b'name="note"\r\n\r\n\xc3\xbc\r\n' in multipart.body
    assert b'filename="a b.png"' in multipart.body
    row = await engine.database.row("SELECT count(*) AS n FROM file_references")
    assert row is not None
    assert row["n"] == 1


async def test_a_redirected_upload_is_sent_whole_again(run: Chain, engine: Engine) -> None:
    kept = await engine.files.save(WORKSPACE, b"content" * 1000, "a.bin", "application/octet-stream")

    def answering(asked: Asked) -> Said:
        return (307, {"location": "/there"}, b"") if asked.path == "/x" else say(len(asked.body))

    async with Peer(answering) as peer:
        asked = await sent(run, peer, kept.value(), body="{{ input }}")
        assert (asked.path, asked.body) == ("/there", b"content" * 1000)
        asked = await sent(run, peer, kept.value(), body={"f": "{{ input }}"}, body_type="multipart")
        assert asked.path == "/there"
        assert asked.body.count(b"content" * 1000) == 1


async def test_what_is_no_file_is_not_sent_as_one(run: Chain) -> None:
    async with Peer(echo) as peer:
        for body in ({"$file": "f" * 64}, {"$file": "../../etc/passwd"}, "text", None):
            error = (await run(chain(call(peer.base, method="POST", body=body, body_type="file"))))["error"]
            assert "file" in error["message"]
        assert peer.asked == []


async def test_answers(run: Chain) -> None:
    kinds: dict[str, Said] = {
        "/json": say({"a": 1}),
        "/text": (200, {"content-type": "text/html; charset=latin-1"}, "ü".encode("latin-1")),
        "/odd": (200, {"content-type": "application/octet-stream"}, b"{}"),
        "/none": (204, {}, b""),
    }
    async with Peer(lambda asked: kinds[asked.path]) as peer:

        async def body(path: str, **config: Any) -> Any:
            ended = await run(chain(call(peer.base + path, **config)))
            return ended["result"]["body"] if ended["result"] else ended["error"]["code"]

        assert await body("/json") == {"a": 1}
        assert await body("/json", response="text") == '{"a": 1}'
        assert await body("/text") == "ü"
        assert (await body("/odd"))["size"] == 2
        assert await body("/odd", response="json") == {}
        assert await body("/text", response="json") == "output_invalid"
        assert (await body("/json", response="file"))["type"] == "application/json"
        assert await body("/none") in (None, "")


async def test_bounds_of_an_answer(run: Chain, engine: Engine) -> None:
    bomb = gzip.compress(b"0" * 2_000_000)
    async with Peer(
        lambda asked: (200, {"content-encoding": "gzip", "content-type": "text/plain"}, bomb)
    ) as peer:
        for response in ("auto", "file"):
            error = (await run(chain(call(peer.base, max_bytes=1_000_000, response=response))))["error"]
            assert "larger than 1 MB" in error["message"]
        ended = await run(chain(call(peer.base, response="file")))
        assert ended["result"]["body"]["size"] == 2_000_000
    assert list(engine.files.temporary.iterdir()) == []


# -- pages


def paged(count: int, size: int) -> Callable[[Asked], Said]:
    """`count` items in pages, by every mode at once."""

    def answering(asked: Asked) -> Said:
        query = asked.query
        if "offset" in query:
            at = int(query["offset"])
        elif "page" in query:
            at = (int(query["page"]) - 1) * size
        else:
            at = int(query.get("cursor", 0))
        items = list(range(count))[at : at + size]
        more = at + size < count
        headers = {"link": f'</x?cursor={at + size}>; rel="next", </x>; rel="first"'} if more else {}
        body = {
            "data": {"items": items},
            "next": f"/x?cursor={at + size}" if more else None,
            "cursor": str(at + size) if more else "",
        }
        return say(body if asked.path == "/x" else items, **headers)

    return answering


@pytest.mark.parametrize(
    ("config", "pages"),
    [
        ({"pagination": {"mode": "next_url", "items": "data.items", "next": "next"}}, 4),
        ({"pagination": {"mode": "next_url", "items": "data.items"}}, 4),
        ({"pagination": {"mode": "cursor", "items": "data.items", "next": "cursor"}}, 4),
        ({"pagination": {"mode": "page", "items": "data.items", "size": 3}}, 4),
        ({"pagination": {"mode": "page", "items": "data.items"}}, 5),
        ({"pagination": {"mode": "offset", "items": "data.items", "size": 3, "size_parameter": "limit"}}, 4),
        (
            {
                "pagination": {"mode": "expression", "items": "data.items"},
                "next_page": "{{ page.body.next }}",
            },
            4,
        ),
        (
            {
                "pagination": {"mode": "expression", "items": "data.items"},
                "next_page": "{{ {'query': {'offset': (page.number + 1) * 3}} if page.count == 3 else null }}",
            },
            4,
        ),
    ],
)
async def test_pages(run: Chain, config: dict[str, Any], pages: int) -> None:
    async with Peer(paged(10, 3)) as peer:
        ended = await run(chain(call(f"{peer.base}/x", query={"kept": 1}, **config)))
        assert ended["result"]["body"] == list(range(10)), ended
        assert (ended["result"]["pages"], ended["result"]["more"]) == (pages, False)
        keys = [asked.headers["idempotency-key"] for asked in peer.asked]
        assert len(set(keys)) == pages
        if "size_parameter" in config["pagination"]:
            assert [asked.query["limit"] for asked in peer.asked] == ["3"] * 4
            assert [asked.query["offset"] for asked in peer.asked] == ["0", "3", "6", "9"]


async def test_keys_of_pages_are_the_same_in_every_attempt(run: Chain) -> None:
    failing = [True]

    def answering(asked: Asked) -> Said:
        if asked.query.get("page") == "2" and failing.pop():
            failing.append(False)
            return say(status=503)
        return paged(4, 2)(asked)

    async with Peer(answering) as peer:
        page = {"mode": "page", "items": "data.items", "size": 2}
        failing[:] = [False, True]
        ended = await run(
            chain(call(f"{peer.base}/x", pagination=page, retry={"attempts": 2, "initial": 0.01}))
        )
        assert ended["state"] == "completed", ended
        by_page: dict[str, set[str]] = {}
        for asked in peer.asked:
            by_page.setdefault(asked.query["page"], set()).add(asked.headers["idempotency-key"])
        assert [len(keys) for keys in by_page.values()] == [1, 1, 1]
        assert len(set().union(*by_page.values())) == 3


async def test_pages_into_a_file(run: Chain, engine: Engine) -> None:
    async with Peer(paged(1000, 90)) as peer:
        page = {"mode": "next_url", "items": "data.items", "into": "file"}
        body = (await run(chain(call(f"{peer.base}/x", pagination=page))))["result"]["body"]
    assert (body["name"], body["type"]) == ("items.jsonl", "application/x-ndjson")
    lines = (await engine.files.read(WORKSPACE, body["$file"], 10**6)).splitlines()
    assert [json.loads(line) for line in lines] == list(range(1000))


async def test_pages_are_bounded(run: Chain) -> None:
    async with Peer(paged(100, 3)) as peer:
        page = {"mode": "page", "items": "data.items", "max_pages": "{{ input }}"}
        result = (await run(chain(call(f"{peer.base}/x", pagination=page)), 2))["result"]
        assert (result["body"], result["pages"], result["more"]) == ([0, 1, 2, 3, 4, 5], 2, True)
        error = (
            await run(chain(call(f"{peer.base}/x", pagination={**page, "max_pages": 50}, max_bytes=500)))
        )["error"]
        assert "pages together" in error["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"next": "/x", "data": []}, "leads back"),
        ({"next": "ftp://x/", "data": []}, "http"),
        ({"data": {"a": 1}}, "no list at “data”"),
        ([], "no list at “data”"),
    ],
)
async def test_pages_that_lead_nowhere(run: Chain, body: Any, words: str) -> None:
    async with Peer(lambda asked: say(body)) as peer:
        page = {"mode": "next_url", "items": "data", "next": "next"}
        assert words in (await run(chain(call(f"{peer.base}/x", pagination=page))))["error"]["message"]


async def test_the_next_page_may_not_lead_to_a_private_host(run: Chain) -> None:
    async with Peer(lambda asked: say([])) as other:
        async with Peer(lambda asked: say({"next": f"http://localhost:{other.port}/", "data": []})) as peer:
            page = {"mode": "next_url", "items": "data", "next": "next"}
            ended = await run(chain(call(f"{peer.base}/x", pagination=page)), mode="production")
        assert (ended["error"]["code"], other.asked) == ("address_denied", [])


def test_problems(problems: Problems) -> None:
    def found(**config: Any) -> list[tuple[str, str]]:
        return problems(chain(call("https://example.org", **config)))

    at = "nodes.call.config."
    assert found(pagination={"mode": "expression"}) == [(f"{at}next_page", "config")]
    assert found(next_page="{{ 1 }}") == [(f"{at}next_page", "config")]
    assert found(pagination={"mode": "cursor"}) == [(f"{at}pagination.next", "config")]
    assert found(pagination={"mode": "pages"}) == [(f"{at}pagination.mode", "wrong_type")]
    assert found(pagination={"mode": "page", "what": 1}) == [(f"{at}pagination.what", "unknown_field")]
    assert found(pagination={"mode": "page", "max_pages": 0}) == [(f"{at}pagination.max_pages", "wrong_type")]
    assert found(proxy="proxy:3128") == [(f"{at}proxy", "config")]
    assert found(proxy="http://u:p@proxy.example.org:3128") == [(f"{at}proxy", "config")]
    assert found(query={"a": "{{ page }}"}) != []
    assert found(pagination={"mode": "expression"}, next_page="{{ page.body.next }}") == []


# -- peers that misbehave: each ends in time, with a word


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _drip_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"x-a: b\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def _lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncontent-type: application/pdf\r\n\r\nshort")
    await writer.drain()


async def _bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    head = (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\n\r\n"
    )
    writer.write(head + BOMB)
    await writer.drain()


BOMB = gzip.compress(b"0" * 100_000_000, 1)
MISBEHAVING = {
    "hang": (_hang, "node_timeout"), "drip": (_drip, "node_timeout"), "headers": (_drip_headers, "node_timeout"),
    "reset": (_reset, "connection_lost"), "lie": (_lie, "connection_lost"), "bomb": (_bomb, "stopped"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISBEHAVING)
@pytest.mark.parametrize("response", ["auto", "file"])
async def test_a_peer_that_misbehaves(run: Chain, engine: Engine, name: str, response: str) -> None:
    """T16: many calls at once; each ends by its deadline, and nothing is left of them."""
    raw, code = MISBEHAVING[name]
    async with Peer(raw=raw) as peer:
        each = {
            "id": "each",
            "type": "loop.for_each",
            "config": {"items": "{{ range(12) }}", "concurrency": 12, "on_item_error": "collect"},
        }
        node = call(peer.base, timeout=20 if name == "bomb" else 0.6, response=response, max_bytes=1_000_000)
        raw_document = chain(each, node, edges=[("start", "each"), ("each.item", "call")])
        begun = asyncio.get_running_loop().time()
        result = (await run(raw_document))["result"]
        assert asyncio.get_running_loop().time() - begun < (20 if name == "bomb" else 2.1)
        assert [error["error"]["code"] for error in result["errors"]] == [code] * 12, result["errors"][0]
    temporary = engine.files.temporary
    assert not temporary.exists() or list(temporary.iterdir()) == []


# -- proxies


async def test_a_proxy_of_the_document(run: Chain) -> None:
    async with Peer(lambda asked: say({"target": asked.target})) as proxy:
        ended = await run(chain(call("http://127.0.0.1:9/path", proxy=proxy.base)))
        assert ended["result"]["body"] == {"target": "http://127.0.0.1:9/path"}


async def test_the_guard_judges_the_target_behind_a_proxy(run: Chain) -> None:
    async with Peer(lambda asked: say("leaked")) as proxy:
        for url in ("http://169.254.169.254/latest", "http://[fd00:ec2::254]/"):
            ended = await run(chain(call(url, proxy=proxy.base)))
            assert ended["error"]["code"] == "address_denied"
        data = await run(
            chain(call("http://{{ input }}/", proxy=proxy.base)), "127.0.0.1:9", mode="production"
        )
        assert data["error"]["code"] == "address_denied"
        assert proxy.asked == []


async def test_a_proxy_of_the_settings(engine: Engine) -> None:
    import msgspec

    from flowfuse.integrations.addresses import AddressGuard, parse_allowance
    from flowfuse.integrations.client import APIClient, Call

    async with Peer(echo) as proxy:
        address = proxy.base.replace("http://", "http://user:pass@")
        client = APIClient(AddressGuard(), proxy=address, no_proxy=[parse_allowance("10.1.2.3")])
        usual = Call(
            method="GET", url="http://192.0.2.1/a", query=[], headers=[], body=None, body_type="auto", response="auto",
            accept=lambda status: False, idempotency_key="k", literal_host=True, operator=False, credential=None,
        )  # fmt: skip
        answer = await client.send(usual)
        assert answer.body["proxy-authorization"] == "Basic dXNlcjpwYXNz"  # type: ignore[index, call-overload]
        async with Peer(echo) as local:
            await client.send(msgspec.structs.replace(usual, url=local.base))
            assert len(local.asked) == 1
            assert "proxy-authorization" not in local.asked[0].headers
        assert len(proxy.asked) == 1
        await client.close()


# -- addresses that are none


@pytest.mark.parametrize(
    "url", ["http://[x", "http://a:b:c/", "http://a:99999/", "http://\u2100.example/", "http://", "/x"]
)
async def test_an_address_of_data_that_is_none(run: Chain, engine: Engine, url: str) -> None:
    ended = await run(chain(call("{{ input }}", on_error="continue", timeout=2)), url)
    assert ended["state"] == "completed"
    ended = await run(chain(call("{{ input }}", timeout=2)), url)
    assert ended["state"] == "failed"
    assert ended["error"]["code"] not in ("internal", "unknown_fault"), ended["error"]
    assert not engine.controller.runs


async def test_a_breaker_is_named_without_what_stands_before_the_host(run: Chain, engine: Engine) -> None:
    await run(chain(call("http://ada:s3cret-9@127.0.0.1:9/", on_error="continue")))
    assert "127.0.0.1:9" in [view.connector for view in engine.controller.breaker.list(WORKSPACE)]
    assert "s3cret" not in str(engine.controller.breaker.list(WORKSPACE))


# -- secrets


async def test_secrets_are_taken_out_of_headers_files_names_and_errors(run: Chain, engine: Engine) -> None:
    await engine.vault.save(WORKSPACE, "key", "", "bearer", ["127.0.0.1"], {"token": "hush-hush-token"})

    def answering(asked: Asked) -> Said:
        token = asked.headers["authorization"]
        if asked.path == "/bad":
            return say({"you sent": token}, status=400)
        return say({"you sent": token}, x_echo=token)

    async with Peer(answering) as peer:
        ended = await run(chain(call(f"{peer.base}/x", credential="key")))
        assert ended["result"]["headers"]["x-echo"] == "Bearer ***"
        assert ended["result"]["body"] == {"you sent": "Bearer ***"}
        ended = await run(chain(call(f"{peer.base}/x", credential="key", response="file")))
        kept = await engine.files.read(WORKSPACE, ended["result"]["body"]["$file"], 1000)
        assert json.loads(kept) == {"you sent": "Bearer ***"}
        page = {"mode": "next_url"}
        ended = await run(chain(call(f"{peer.base}/bad", credential="key", pagination=page)))
        assert "hush" not in json.dumps(ended)


@pytest.mark.slow
async def test_many_calls_to_peers_that_misbehave_leave_nothing(run: Chain, engine: Engine) -> None:
    """T16: 500 in all; each ends by its deadline, and no task, socket or memory stays."""
    import gc

    import psutil

    # The breaker would rightly stop this after fifty; here it is the calls that are looked at.
    engine.controller.breaker._most = 10**9
    process = psutil.Process()
    await run(chain(call("http://127.0.0.1:9/", on_error="continue")))
    gc.collect()
    tasks, descriptors, memory = (
        len(asyncio.all_tasks()),
        process.num_fds(),
        process.memory_info().rss,
    )
    for raw in (_hang, _drip, _reset, _lie):
        async with Peer(raw=raw) as peer:
            each = {
                "id": "each",
                "type": "loop.for_each",
                "config": {"items": "{{ range(125) }}", "concurrency": 125, "on_item_error": "collect"},
            }
            document = chain(
                each, call(peer.base, timeout=1), edges=[("start", "each"), ("each.item", "call")]
            )
            begun = asyncio.get_running_loop().time()
            result = (await run(document))["result"]
            assert asyncio.get_running_loop().time() - begun < 3
            assert len(result["errors"]) == 125
    gc.collect()
    assert len(asyncio.all_tasks()) <= tasks + 1
    assert process.num_fds() <= descriptors + 5
    assert process.memory_info().rss - memory < 100 * 1024 * 1024
