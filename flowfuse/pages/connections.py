"""/connections: credentials – which there are, who uses them, making, changing, trying and deleting them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.data.workflows import WorkflowRepository
from flowfuse.errors import Conflict, NodeFailed, NotFound, RequestInvalid
from flowfuse.integrations.client import APIClient, Call
from flowfuse.integrations.credential import KINDS
from flowfuse.integrations.vault import CredentialVault
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import needs, signed_in, workspace_of
from flowfuse.pages.notices import back
from flowfuse.pages.page import page, refused

Asked = Request[Any, Any, Any]
HERE = "/connections"
INCOMING = ("hmac",)
"""Kinds that prove who calls us; there is nothing to try."""


class ConnectionForm(msgspec.Struct, forbid_unknown_fields=True):
    """A connection as its form sends it. Empty secrets of one that exists stay as they are."""

    kind: str
    id: str = ""
    name: str = ""
    hosts: str = ""
    secret_name: str = ""
    secret_value: str = ""
    secret_token: str = ""
    secret_user: str = ""
    secret_password: str = ""
    secret_secret: str = ""

    def secrets(self) -> dict[str, str]:
        """The fields of the kind's secret."""
        return {field: getattr(self, f"secret_{field}", "") for field in KINDS.get(self.kind, ())}


class TryForm(msgspec.Struct, forbid_unknown_fields=True):
    """The address that a connection is tried on."""

    url: str


class Tried(Struct, frozen=True):
    """What a try gave: whether it went well, and a sentence."""

    url: str
    well: bool
    text: str


@get([HERE, f"{HERE}/{{credential:str}}"], guards=[signed_in])
async def connections(
    request: Asked,
    vault: NamedDependency[CredentialVault],
    workflows: NamedDependency[WorkflowRepository],
    credential: FromPath[str] = "",
) -> Response[str]:
    """All connections, and one of them. `new` is the form for another."""
    if credential == "new":
        kind = request.query_params.get("kind", "")
        form = ConnectionForm(kind=kind if kind in KINDS else "bearer")
        return await _shown(request, vault, workflows, form=form)
    return await _shown(request, vault, workflows, chosen=credential)


@post(f"{HERE}/{{credential:str}}", guards=[needs("connect")], status_code=200)
async def save_connection(
    request: Asked,
    credential: FromPath[str],
    vault: NamedDependency[CredentialVault],
    workflows: NamedDependency[WorkflowRepository],
) -> Response[Any]:
    """Make a connection (`new`), or change one; what is wrong is said beside its field."""
    form, workspace = await read_form(request, ConnectionForm), workspace_of(request)
    if form.kind not in KINDS:
        raise RequestInvalid(field="kind", reason=f"“{form.kind[:40]}” is none of {', '.join(KINDS)}")
    fresh = credential == "new"
    name = (form.id.strip() or _id_of(form.name)) if fresh else credential
    secrets = form.secrets()
    hosts = [each for each in form.hosts.replace(",", " ").split() if each]
    try:
        if not fresh:
            secrets = await _completed(vault, workspace, name, form.kind, hosts, secrets)
        saved = await vault.save(
            workspace, name, form.name.strip(), form.kind, hosts, secrets, replace=not fresh
        )
    except (RequestInvalid, Conflict, NodeFailed) as error:
        chosen = "" if fresh else credential
        shown = await _shown(request, vault, workflows, chosen=chosen, form=form, wrong=error)
        return refused(shown, error)
    note(request, f"{HERE}/{saved.id}")
    return back(request, f"{HERE}/{saved.id}", "saved")


@post(f"{HERE}/{{credential:str}}/delete", guards=[needs("connect")], status_code=303)
async def forget_connection(
    request: Asked, credential: FromPath[str], vault: NamedDependency[CredentialVault]
) -> Redirect:
    """Delete a connection; its sealed secret can be brought back for a day. Raises NotFound."""
    await vault.delete(workspace_of(request), credential)
    note(request, credential)
    return back(request, HERE, "connection_deleted", ids=credential)


@post(f"{HERE}/{{credential:str}}/restore", guards=[needs("connect")], status_code=303)
async def restore_connection(
    request: Asked, credential: FromPath[str], vault: NamedDependency[CredentialVault]
) -> Redirect:
    """Undo of deleting a connection. Raises NotFound, Conflict."""
    await vault.restore(workspace_of(request), credential)
    return back(request, f"{HERE}/{credential}", "connection_restored")


@post(f"{HERE}/{{credential:str}}/try", guards=[needs("connect")], status_code=200)
async def try_connection(
    request: Asked,
    credential: FromPath[str],
    vault: NamedDependency[CredentialVault],
    workflows: NamedDependency[WorkflowRepository],
    api: NamedDependency[APIClient],
) -> Response[str]:
    """Ask a service something with the connection, and say what it answered."""
    form = await read_form(request, TryForm)
    opened = await vault.open(workspace_of(request), credential)
    call = Call(
        method="GET", url=form.url.strip(), query=[], headers=[], body=None, body_type="none",
        response="text", accept=lambda status: True, idempotency_key="", literal_host=True, operator=False,
        credential=opened,
    )  # fmt: skip
    try:
        status = (await api.send(call)).status
    except NodeFailed as error:
        tried = Tried(form.url, False, error.message)
    else:
        tried = _judged(form.url, status)
    return await _shown(request, vault, workflows, chosen=credential, tried=tried)


def _judged(url: str, status: int) -> Tried:
    host = urlsplit(url).hostname or url
    if status in (401, 403):
        return Tried(url, False, f"{host} answered {status}: it does not accept this secret")
    if status >= 500:
        return Tried(url, False, f"{host} answered {status}: it has a trouble of its own")
    return Tried(url, True, f"{host} answered {status}")


async def _shown(
    request: Asked,
    vault: CredentialVault,
    workflows: WorkflowRepository,
    *,
    chosen: str = "",
    form: ConnectionForm | None = None,
    wrong: RequestInvalid | Conflict | NodeFailed | None = None,
    tried: Tried | None = None,
) -> Response[str]:
    workspace = workspace_of(request)
    items = await vault.list(workspace)
    uses = await workflows.credential_uses(workspace)
    one = next((each for each in items if each.id == chosen), None)
    if chosen and one is None:
        raise NotFound(what="connection", id=chosen)
    if one is not None and form is None and "edit" in request.query_params:
        form = ConnectionForm(kind=one.kind, id=one.id, name=one.name, hosts=" ".join(one.hosts))
    return page(
        request,
        "connections.html",
        items=items,
        uses=uses,
        one=one,
        form=form,
        kinds=KINDS,
        field=_field(wrong),
        wrong="" if wrong is None else wrong.parameters.get("reason", wrong.message),
        tried=tried,
        incoming=INCOMING,
    )


def _field(wrong: Any) -> str:
    if wrong is None:
        return ""
    name: str = wrong.parameters.get("field", "id")
    return name.replace("data.", "secret_") if name != "data" else "secret_value"


async def _completed(
    vault: CredentialVault, workspace: str, name: str, kind: str, hosts: list[str], typed: dict[str, str]
) -> dict[str, str]:
    """The secret with what was typed of it; what was left empty stays as it is.

    Raises RequestInvalid where it may be sent to more hosts than before and is not typed whole: who may
    change a connection could have it sent to themselves otherwise.
    """
    old = await vault.open(workspace, name)
    given = {field: value for field, value in typed.items() if value}
    if old.kind == kind and all(h in old.hosts or (h[0] != "." and old.allows(h)) for h in hosts):
        return {**old.data, **given}
    if len(given) < len(typed):
        raise RequestInvalid(field="hosts", reason="new hosts need the whole secret, typed anew")
    return typed


def _id_of(name: str) -> str:
    """An id that nodes can refer to, made of a name."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return "-".join(part for part in kept.split("-") if part)[:64]
