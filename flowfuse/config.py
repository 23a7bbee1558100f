"""Config: how the process starts. Defaults < flowfuse.toml < environment < flags; read once, frozen."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from flowfuse import faults
from flowfuse.errors import ConfigInvalid

DEFAULT_PORT = 8420
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where workflows may call, beyond public addresses and hosts written in the document."""

    allow: list[str] = msgspec.field(default_factory=list)
    proxy: str = ""
    """An HTTP proxy for outgoing calls, such as http://user:password@proxy.example.org:3128."""
    no_proxy: list[str] = msgspec.field(default_factory=list)
    """Hosts and networks that are called straight; this machine's own addresses always are."""


class Oidc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Single sign-on by OpenID Connect. Without an issuer there is none."""

    issuer: str = ""
    """As it names itself, such as https://login.example.org."""
    client_id: str = ""
    client_secret: str = ""
    name: str = "single sign-on"
    """What the button says."""
    role: Literal["", "viewer", "operator", "editor", "admin"] = ""
    """Whoever comes for the first time becomes a member with this role; empty: only who is invited."""
    domains: list[str] = msgspec.field(default_factory=list)
    """Of which e-mail domains; empty: of all that the issuer knows."""

    def __repr__(self) -> str:
        return f"Oidc(issuer={self.issuer})"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of the process. Durations are seconds."""

    data: Path
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = DEFAULT_PORT
    public_url: str = ""
    """How this server is reached from outside, such as https://flows.example.org."""
    hosts: list[str] = msgspec.field(default_factory=list)
    """Names, beside the loopback ones, under which the server may be asked for (the Host header)."""
    tls: bool = False
    """Serve https: with `tls_cert` and `tls_key`, or with a certificate that FlowFuse makes itself."""
    tls_cert: str = ""
    tls_key: str = ""
    proxies: list[str] = msgspec.field(default_factory=list)
    """Addresses of reverse proxies whose X-Forwarded-For is believed."""
    oidc: Oidc = msgspec.field(default_factory=Oidc)
    network: Network = msgspec.field(default_factory=Network)
    max_running: Annotated[int, Meta(ge=1)] = 200
    max_pending: Annotated[int, Meta(ge=1)] = 1_000_000
    breaker_failures: Annotated[int, Meta(ge=1)] = 50
    """So many failed calls within five minutes open a workspace's circuit breaker."""
    grace: Annotated[float, Meta(ge=0, le=86400)] = 10.0
    """How long running nodes may go on after SIGTERM."""
    master_key: str | None = None
    """The vault's key, 64 hex digits; without it, the 0600 file in the data folder."""
    demos: bool = True
    """Whether an empty data folder gets the demo workflow."""
    log_level: Literal["warning", "error", "info", "debug"] = "warning"
    display: bool = False
    """Whether there is a screen to open a browser on."""

    @property
    def serves_tls(self) -> bool:
        """Whether the server itself speaks https."""
        return self.tls or bool(self.tls_cert)

    @property
    def lan(self) -> bool:
        """Whether others than this machine can reach the server."""
        return self.host not in LOOPBACK

    @property
    def address(self) -> str:
        """How a program on this machine reaches it."""
        return local_address(self.host, self.port, tls=self.serves_tls)

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by https."""
        return self.serves_tls or self.public_url.lower().startswith("https://")

    def __repr__(self) -> str:
        return f"Config(data={self.data}, host={self.host}, port={self.port})"


def local_address(host: str, port: int, *, tls: bool) -> str:
    """The address at which this machine itself reaches a server that listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def default_data_folder() -> Path:
    """The platform's place for an application's data."""
    import platformdirs

    return Path(platformdirs.user_data_dir("flowfuse", appauthor=False))


def wants_colour() -> bool:
    """Whether the terminal's user has nothing against colour (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wants_defects() -> bool:
    """Whether whoever calls wants to see where a defect of ours is."""
    return os.environ.get("FLOWFUSE_LOG_LEVEL", "").lower() == "debug"


def load(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Config:
    """The process's settings. Raises ConfigInvalid, which names the source and the field."""
    environment = os.environ if environment is None else environment
    _arm_crash_point(environment.get("FLOWFUSE_CRASH_POINT"))
    data = flags.get("data") or environment.get("FLOWFUSE_DATA") or default_data_folder()
    folder = Path(os.path.expanduser(data)).absolute()  # noqa: PTH111 (Path's raises where there is no home)
    settings: dict[str, Any] = {**_from_file(folder / "flowfuse.toml"), **_from_environment(environment)}
    settings.update({key: value for key, value in flags.items() if value is not None})
    settings["data"] = str(folder)
    try:
        return msgspec.convert(settings, Config, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        raise ConfigInvalid(field=where.strip("`$.") or "settings", reason=reason) from None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(field=str(path), reason=str(error)) from None
    except OSError as error:
        raise ConfigInvalid(field=str(path), reason=error.strerror or "it cannot be read") from None


_NAMES = {
    "FLOWFUSE_HOST": "host",
    "FLOWFUSE_PORT": "port",
    "FLOWFUSE_PUBLIC_URL": "public_url",
    "FLOWFUSE_MASTER_KEY": "master_key",
    "FLOWFUSE_TLS": "tls",
    "FLOWFUSE_TLS_CERT": "tls_cert",
    "FLOWFUSE_TLS_KEY": "tls_key",
    "FLOWFUSE_MAX_RUNNING": "max_running",
    "FLOWFUSE_MAX_PENDING": "max_pending",
    "FLOWFUSE_GRACE": "grace",
    "FLOWFUSE_BREAKER_FAILURES": "breaker_failures",
    "FLOWFUSE_DEMOS": "demos",
    "FLOWFUSE_LOG_LEVEL": "log_level",
}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        field: environment[name] for name, field in _NAMES.items() if environment.get(name)
    }
    if "log_level" in found:
        found["log_level"] = found["log_level"].lower()
    if (
        environment.get("DISPLAY")
        or environment.get("WAYLAND_DISPLAY")
        or sys.platform in ("darwin", "win32")
    ):
        found["display"] = True
    if environment.get("FLOWFUSE_HOSTS"):
        found["hosts"] = environment["FLOWFUSE_HOSTS"].split(",")
    if environment.get("FLOWFUSE_PROXIES"):
        found["proxies"] = environment["FLOWFUSE_PROXIES"].split(",")
    oidc = {
        field: environment[name]
        for name, field in (
            ("FLOWFUSE_OIDC_ISSUER", "issuer"),
            ("FLOWFUSE_OIDC_CLIENT_ID", "client_id"),
            ("FLOWFUSE_OIDC_CLIENT_SECRET", "client_secret"),
            ("FLOWFUSE_OIDC_NAME", "name"),
            ("FLOWFUSE_OIDC_ROLE", "role"),
        )
        if environment.get(name)
    }
    if oidc:
        found["oidc"] = oidc
    network: dict[str, Any] = {
        field: environment[name].split(",")
        for name, field in (("FLOWFUSE_NETWORK_ALLOW", "allow"), ("FLOWFUSE_NETWORK_NO_PROXY", "no_proxy"))
        if environment.get(name)
    }
    if environment.get("FLOWFUSE_NETWORK_PROXY"):
        network["proxy"] = environment["FLOWFUSE_NETWORK_PROXY"]
    if network:
        found["network"] = network
    return found


def _arm_crash_point(text: str | None) -> None:
    """`NAME` or `NAME@N`: tests end the process at the N-th passing of a crash point."""
    if text:
        name, _, count = text.partition("@")
        faults.arm(name, int(count or 1))
