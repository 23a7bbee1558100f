"""`flowfuse serve` for others on the network: an owner first, and https by a certificate of its own."""

from __future__ import annotations

import hashlib
import re
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from tests.support.server import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[tuple[int, str, Path]]:
    """(port, what the terminal says, data folder) of a server on all addresses, with TLS."""
    port, data = free_port(), tmp_path / "data"
    command = [sys.executable, "-m", "flowfuse", "serve", "--host", "0.0.0.0", "--tls", "--no-browser"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--data", str(data)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = []
    while "SHA-256" not in (line := process.stdout.readline()):
        assert line, "the server ended"
        said.append(line)
    yield port, "".join([*said, line]), data
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()


def ask(port: int, path: str, data: Path, body: bytes | None = None) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(data / "tls.crt"))
    try:
        request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", body)
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, answer.headers.get("strict-transport-security", "")
    except HTTPError as error:
        with error:
            return error.code, error.headers.get("set-cookie", "")


def test_the_terminal_shows_the_code_and_the_fingerprint(lan: tuple[int, str, Path]) -> None:
    port, said, data = lan
    code = re.search(r"Setup code, for 15 minutes: ([0-9a-f]{32})", said)
    assert code is not None, said
    assert "/link/" not in said
    pem = (data / "tls.crt").read_text()
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    assert ":".join(re.findall("..", shown)) in said
    assert (data / "tls.key").stat().st_mode & 0o077 == 0
    assert ask(port, "/", data)[0] == 403
    assert ask(port, "/health", data) == (200, "max-age=31536000")
    fields = {"code": code[1], "name": "Ada", "email": "a@example.org", "password": "a long password"}

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    context = ssl.create_default_context(cafile=str(data / "tls.crt"))
    opener = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=context))
    with pytest.raises(HTTPError) as found:
        opener.open(f"https://127.0.0.1:{port}/setup", urlencode(fields).encode())
    with found.value as answer:
        assert answer.code == 303
        assert re.match(r"__Host-ff_session=.+Secure", answer.headers["set-cookie"])
    link = subprocess.run(
        [sys.executable, "-m", "flowfuse", "link", "--data", str(data)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"https://127.0.0.1:{port}/link/" in link.stdout
