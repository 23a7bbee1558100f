"""A real server process on a real folder, and the witness that counts what reaches the outside."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PATIENCE = 60.0


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Answer:
    """A status, headers with lower-case names, and the decoded body."""

    def __init__(self, status: int, headers: dict[str, str], raw: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


def request(
    method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 30
) -> Answer:
    """One request on a fresh connection. `body`: bytes as they are, all else as JSON. Raises OSError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    sent = {"content-type": "application/json", **(headers or {})}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path or "/", content, sent)
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


class Server:
    """`flowfuse serve` in a process group of its own."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data, self.port = data, free_port()
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}.log"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True, **environment: str) -> Server:
        """Start it, and wait until it is ready."""
        command = [
            sys.executable,
            "-m",
            "flowfuse",
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        named = {**os.environ, **self.environment, **environment, "FLOWFUSE_NETWORK_ALLOW": "127.0.0.0/8"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--no-browser"], env=named, stdout=log, stderr=log, start_new_session=True
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Until it takes work. Raises AssertionError when it ends instead, or never does."""
        for _ in range(int(PATIENCE / 0.02)):
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if request("GET", f"{self.base}/ready").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """SIGKILL, for the whole group."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process = None

    def stop(self, patience: float = 30) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(patience)
        self.process = None
        return code

    def ended(self, patience: float = 30) -> int:
        """Wait for it to end by itself; the exit code (negative: the signal)."""
        assert self.process is not None
        code = self.process.wait(patience)
        self.process = None
        return code

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request with the install's token."""
        token = (self.data / "token").read_text().strip()
        sent = {"authorization": f"Bearer {token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return request(method, f"{self.base}/api/v1{path}", body, sent)

    def publish(self, document: dict[str, Any]) -> str:
        """Keep a document and publish it; its id."""
        kept = self.api("POST", "/workflows", document)
        assert kept.status == 201, kept.raw
        name: str = kept.json["workflow"]["id"]
        published = self.api("POST", f"/workflows/{name}/publish", {})
        assert published.status == 200, published.raw
        return name

    def executions(self, **query: str) -> list[dict[str, Any]]:
        """All executions, newest first."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            asked = "&".join(f"{k}={v}" for k, v in {**query, "limit": "500", "cursor": cursor}.items() if v)
            page = self.api("GET", f"/executions?{asked}").json
            found += page["items"]
            cursor = page["cursor"]
            if not cursor:
                return found

    def wait_until_idle(self, patience: float = PATIENCE) -> list[dict[str, Any]]:
        """Until no execution is pending or running; all executions."""
        deadline = time.monotonic() + patience
        while True:
            left = [e for state in ("pending", "running") for e in self.executions(state=state)]
            if not left:
                return self.executions()
            assert time.monotonic() < deadline, f"still under way: {left[:3]}"
            time.sleep(0.05)


class Witness:
    """A local server that writes down each call: query, idempotency key, time."""

    def __init__(self) -> None:
        self.marks: list[dict[str, Any]] = []
        self.delay = 0.0
        self.hold: tuple[threading.Event, threading.Event] | None = None
        """Set the first when a call is here; answer it when the second is set."""
        self.status: dict[str, list[int]] = defaultdict(list)
        self._lock = threading.Lock()
        self._arrived = threading.Condition()
        witness = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                witness._answer(self)

            do_POST = do_GET

            def log_message(self, *arguments: Any) -> None:
                """Nothing is printed."""

        class Listener(ThreadingHTTPServer):
            request_queue_size = 1024

            def handle_error(self, *arguments: Any) -> None:
                """A caller that was killed is no error of the witness."""

        self._server = Listener(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = dict(parse_qsl(parts.query))
        size = int(handler.headers.get("content-length") or 0)
        body = handler.rfile.read(size)
        with self._lock:
            self.marks.append(
                {"path": parts.path, "key": handler.headers.get("idempotency-key"), "body": body,
                 "headers": dict(handler.headers.items()), **query}
            )  # fmt: skip
            scripted = self.status[parts.path]
            status = scripted.pop(0) if scripted else 200
        with self._arrived:
            self._arrived.notify_all()
        if self.delay:
            time.sleep(self.delay)
        if self.hold is not None:
            self.hold[0].set()
            self.hold[1].wait(PATIENCE)
        answer = json.dumps({"ok": True, **query}).encode()
        if parts.path.startswith("/echo"):
            answer = self._echo(handler, body)
        try:
            handler.send_response(status)
            handler.send_header("content-type", "application/json")
            handler.send_header("content-length", str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)
        except OSError:
            # The caller was killed meanwhile; what it did is written down.
            return

    def wait_for(self, seen: Callable[[], bool], patience: float = 20.0) -> None:
        """Until something was written down, or nothing more comes."""
        with self._arrived:
            self._arrived.wait_for(seen, patience)

    def _echo(self, handler: BaseHTTPRequestHandler, body: bytes) -> bytes:
        """All that the call brought, as a careless peer gives it back: also below other encodings."""
        brought = f"{handler.path}\n{handler.headers}\n{body.decode(errors='replace')}"
        told = {"told": brought, "base64": [base64.b64encode(v.encode()).decode() for v in handler.headers.values()],
                "query": parse_qsl(urlsplit(handler.path).query), brought: 1}  # fmt: skip
        return json.dumps(told).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
