"""/api/v1/credentials: write-only, the secret never comes back."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.integrations.vault import CredentialVault
from flowfuse.model import Credential
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.spec import items_of, spec
from flowfuse.pages.audit_trail import note
from flowfuse.pages.guards import needs, signed_in, workspace_of

BASE = "/api/v1/credentials"
EXAMPLE = {
    "id": "shop", "name": "The shop", "kind": "bearer", "hosts": ["api.example.org"], "data": {"token": "…"}
}  # fmt: skip
Asked = Request[Any, Any, Any]


class CredentialFields(msgspec.Struct, forbid_unknown_fields=True):
    """What a credential is made of. `data` is its secret half."""

    kind: str
    hosts: list[str]
    data: dict[str, str]
    name: str = ""


class NewCredential(CredentialFields, forbid_unknown_fields=True, kw_only=True):
    """The same with the id that nodes refer to."""

    id: str


@get(BASE, guards=[signed_in], opt=spec("Credentials", answer=items_of(Credential)))
async def list_credentials(request: Asked, vault: NamedDependency[CredentialVault]) -> Response[bytes]:
    """All credentials, without their secrets."""
    return answer({"items": await vault.list(workspace_of(request))})


@post(
    BASE,
    guards=[needs("connect")],
    opt=spec("Credentials", body=NewCredential, body_example=EXAMPLE, answer=Credential, status=201),
)
async def create_credential(request: Asked, vault: NamedDependency[CredentialVault]) -> Response[bytes]:
    """Seal a new credential."""
    asked = await read_json(request, NewCredential)
    saved = await vault.save(workspace_of(request), asked.id, asked.name, asked.kind, asked.hosts, asked.data)
    note(request, f"/connections/{saved.id}")
    return answer(saved, 201)


@put(
    f"{BASE}/{{credential:str}}",
    guards=[needs("connect")],
    opt=spec(
        "Credentials",
        body=CredentialFields,
        body_example={k: v for k, v in EXAMPLE.items() if k != "id"},
        answer=Credential,
    ),
)
async def replace_credential(
    request: Asked, credential: FromPath[str], vault: NamedDependency[CredentialVault]
) -> Response[bytes]:
    """Seal a credential anew under its id."""
    asked = await read_json(request, CredentialFields)
    saved = await vault.save(
        workspace_of(request), credential, asked.name, asked.kind, asked.hosts, asked.data, replace=True
    )
    return answer(saved)


@delete(f"{BASE}/{{credential:str}}", guards=[needs("connect")], opt=spec("Credentials", status=204))
async def delete_credential(
    request: Asked, credential: FromPath[str], vault: NamedDependency[CredentialVault]
) -> None:
    """Forget a credential."""
    await vault.delete(workspace_of(request), credential)
