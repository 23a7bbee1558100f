"""WorkflowRepository: workflows with their drafts, versions, and the frozen contents of runs."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from flowfuse import document
from flowfuse.clock import Clock
from flowfuse.data.database import Database
from flowfuse.data.schedules import replace_schedules
from flowfuse.data.trash import put_in_trash
from flowfuse.errors import Conflict, NotFound, SegmentBroken, StaleVersion
from flowfuse.model import Schedule, Version, Workflow, WorkflowSummary

OPERATION_US = 30 * 86400 * 1_000_000
"""How long operations are known again: longer than a browser stays offline. The next publish forgets."""
CONTENT_CACHE = 512
"""How many frozen contents stay in memory: a queue of runs asks for the same few again and again."""
_NAME_IN_PATH = re.compile(r"\{[A-Za-z_]\w*\}")
_LISTED = """id, name, description, folder, tags, seq, published, active, created, updated,
 ifnull((SELECT last_number FROM counters c WHERE c.workspace_id = w.workspace_id
 AND c.workflow_id = w.id), 0) AS last_number"""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow's mutable state: its document, and the sequence number that is its ETag."""

    summary: WorkflowSummary
    document: Workflow


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen document, by which executions and versions are pinned."""

    id: int
    hash: bytes
    document: Workflow


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of a draft did: whether anything, and what is kept of each of its operations."""

    changed: bool = True
    outcomes: dict[str, bytes] = {}


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """Where a published webhook leads."""

    workspace: str
    path: str
    workflow: str
    node: str


class CredentialUse(msgspec.Struct, frozen=True):
    """A workflow that uses a credential, in so many nodes."""

    workflow: str
    name: str
    active: bool
    nodes: int


class WebhookNode(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook trigger as a draft has it. `active`: whether the workflow is published."""

    workflow: str
    name: str
    active: bool
    node: str
    path: str
    auth: str
    methods: list[str]


class WorkflowRepository:
    """Reads and changes of workflows. Every method's first argument is the workspace."""

    def __init__(
        self, database: Database, clock: Clock, editor: Callable[[dict[str, Any], dict[str, int], int], Any]
    ) -> None:
        self._database, self._clock, self._editor = database, clock, editor
        self._contents: dict[tuple[str, int], Content] = {}

    async def list(self, workspace: str) -> list[WorkflowSummary]:
        """All workflows, the last changed first."""
        rows = await self._database.rows(
            f"SELECT {_LISTED} FROM workflows w WHERE workspace_id = ? ORDER BY updated DESC, id",
            (workspace,),
        )
        return [_summary(row) for row in rows]

    async def workspaces(self) -> Sequence[str]:
        """Every workspace that has or had a workflow's runs."""
        rows = await self._database.rows(
            "SELECT workspace_id FROM workflows UNION SELECT workspace_id FROM counters"
        )
        return [row["workspace_id"] for row in rows]

    async def keeps(self, workspace: str) -> dict[str, float | str]:
        """How long executions stay, of the workflows that say so: as published, else as they are drawn."""
        rows = await self._database.rows(
            "SELECT w.id, coalesce(c.document, w.draft) ->> '$.settings.keep' AS keep FROM workflows w "
            "LEFT JOIN versions v ON v.workspace_id = w.workspace_id AND v.workflow_id = w.id "
            "AND v.number = w.published LEFT JOIN contents c ON c.id = v.content_id WHERE w.workspace_id = ?",
            (workspace,),
        )
        return {row["id"]: row["keep"] for row in rows if row["keep"] is not None}

    async def get(self, workspace: str, workflow: str) -> Draft:
        """A workflow with its draft. Raises NotFound."""
        row = await self._database.row(
            f"SELECT {_LISTED}, draft FROM workflows w WHERE workspace_id = ? AND id = ?",
            (workspace, workflow),
        )
        if row is None:
            raise NotFound(what="workflow", id=workflow)
        return _draft(row)

    async def create(self, workspace: str, workflow: Workflow) -> Draft:
        """Keep a new workflow, whose id is set. Raises Conflict where the id is taken."""
        now, values = self._clock.now_us(), _columns(workflow)

        def insert(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(
                    "INSERT INTO workflows (workspace_id, id, name, description, folder, tags, draft, seq, "
                    "field_versions, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
                    (workspace, workflow.id, *values, b"{}", now, now),
                )
            except sqlite3.IntegrityError:
                raise Conflict(reason=f"There is a workflow “{workflow.id}” already") from None

        await self._database.write(insert)
        return await self.get(workspace, workflow.id or "")

    async def edit(
        self,
        workspace: str,
        workflow: str,
        change: Callable[[Any, dict[str, bytes]], Edited],
        *,
        based_on: int | None = None,
        ids: Sequence[str] = (),
    ) -> int:
        """Change a draft in one step by a function of its editor; the sequence number it is at then.

        The function also gets the kept outcomes of those of `ids` that were applied before. Raises
        NotFound, and StaleVersion where the draft is not at `based_on` any more.
        """
        now = self._clock.now_us()

        def update(connection: sqlite3.Connection) -> int:
            row = connection.execute(
                "SELECT draft, seq, field_versions FROM workflows WHERE workspace_id = ? AND id = ?",
                (workspace, workflow),
            ).fetchone()
            if row is None:
                raise NotFound(what="workflow", id=workflow)
            if based_on is not None and row["seq"] != based_on:
                raise StaleVersion(current=row["seq"], given=based_on)
            seq = int(row["seq"]) + 1
            editor = self._editor(
                msgspec.json.decode(row["draft"]), msgspec.json.decode(row["field_versions"]), seq
            )
            edited = change(editor, _outcomes(connection, workspace, workflow, ids))
            connection.executemany(
                "INSERT INTO operations (workspace_id, workflow_id, id, answer, seq, at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [(workspace, workflow, name, kept, seq, now) for name, kept in edited.outcomes.items()],
            )
            if not edited.changed:
                return seq - 1
            changed = document.from_raw(editor.document)
            connection.execute(
                "UPDATE workflows SET name = ?, description = ?, folder = ?, tags = ?, draft = ?, seq = ?, "
                "field_versions = ?, updated = ? WHERE workspace_id = ? AND id = ?",
                (*_columns(changed), seq, msgspec.json.encode(editor.versions), now, workspace, workflow),
            )
            return seq

        return int(await self._database.write(update))

    async def delete(self, workspace: str, workflow: str) -> None:
        """Put a workflow in the trash, without its hooks. Its executions stay. Raises NotFound."""
        now = self._clock.now_us()

        def remove(connection: sqlite3.Connection) -> None:
            _current_seq(connection, workspace, workflow)
            put_in_trash(connection, workspace, workflow, now)
            for table, column in (
                ("hooks", "workflow_id"),
                ("schedules", "workflow_id"),
                ("versions", "workflow_id"),
                ("operations", "workflow_id"),
                ("workflows", "id"),
            ):
                connection.execute(
                    f"DELETE FROM {table} WHERE workspace_id = ? AND {column} = ?", (workspace, workflow)
                )

        await self._database.write(remove)

    async def freeze(self, workspace: str, workflow: Workflow) -> Content:
        """Keep a document by its content, once; runs and versions are pinned to it."""
        plain = document.to_json(workflow)
        digest = hashlib.sha256(plain).digest()

        def insert(connection: sqlite3.Connection) -> int:
            return _freeze(connection, workspace, plain, digest)

        row = await self._database.row(
            "SELECT id FROM contents WHERE workspace_id = ? AND hash = ?", (workspace, digest)
        )
        number = int(row["id"]) if row is not None else int(await self._database.write(insert))
        return Content(id=number, hash=digest, document=workflow)

    async def content(self, workspace: str, number: int) -> Content:
        """A frozen document by its number. Raises NotFound, and SegmentBroken where it is damaged."""
        key = (workspace, number)
        content = self._contents.get(key)
        if content is None:
            content = await self._read_content(workspace, number)
            if len(self._contents) >= CONTENT_CACHE:
                del self._contents[next(iter(self._contents))]
            self._contents[key] = content
        return content

    async def _read_content(self, workspace: str, number: int) -> Content:
        row = await self._database.row(
            "SELECT id, hash, document, checksum FROM contents WHERE workspace_id = ? AND id = ?",
            (workspace, number),
        )
        if row is None:
            raise NotFound(what="content", id=str(number))
        return _content(row)

    async def publish(
        self,
        workspace: str,
        workflow: Workflow,
        hooks: Sequence[tuple[str, str]],
        schedules: Sequence[Schedule],
        note: str,
        author: str = "",
    ) -> Version:
        """Make the draft's content the next version, and let its triggers fire.

        Raises Conflict where one of its hook paths belongs to another workflow.
        """
        plain = document.to_json(workflow)
        digest = hashlib.sha256(plain).digest()
        now = self._clock.now_us()
        name = workflow.id or ""

        def insert(connection: sqlite3.Connection) -> int:
            _current_seq(connection, workspace, name)
            content = _freeze(connection, workspace, plain, digest)
            connection.execute(
                "DELETE FROM operations WHERE workspace_id = ? AND workflow_id = ? AND at < ?",
                (workspace, name, now - OPERATION_US),
            )
            number = _add_version(connection, workspace, name, content, note, author, now)
            _go_live(connection, workspace, name, number, hooks, schedules, now)
            return number

        number = int(await self._database.write(insert))
        return Version(number=number, hash=digest.hex(), created=now, note=note, author=author)

    async def go_live(
        self,
        workspace: str,
        workflow: str,
        number: int,
        hooks: Sequence[tuple[str, str]],
        schedules: Sequence[Schedule],
    ) -> None:
        """Let the triggers fire a version that is there. Raises NotFound, Conflict as `publish` does."""
        now = self._clock.now_us()

        def update(connection: sqlite3.Connection) -> None:
            _current_seq(connection, workspace, workflow)
            _go_live(connection, workspace, workflow, number, hooks, schedules, now)

        await self._database.write(update)

    async def keep_version(self, workspace: str, workflow: Workflow, note: str, author: str = "") -> Version:
        """Keep a state as the next version without publishing it. Raises NotFound."""
        plain = document.to_json(workflow)
        digest = hashlib.sha256(plain).digest()
        now, name = self._clock.now_us(), workflow.id or ""

        def insert(connection: sqlite3.Connection) -> int:
            _current_seq(connection, workspace, name)
            content = _freeze(connection, workspace, plain, digest)
            return _add_version(connection, workspace, name, content, note, author, now)

        number = int(await self._database.write(insert))
        return Version(number=number, hash=digest.hex(), created=now, note=note, author=author)

    async def rename_version(self, workspace: str, workflow: str, number: int, note: str) -> None:
        """Give a version another name. Raises NotFound."""

        def update(connection: sqlite3.Connection) -> None:
            changed = connection.execute(
                "UPDATE versions SET note = ? WHERE workspace_id = ? AND workflow_id = ? AND number = ?",
                (note, workspace, workflow, number),
            )
            if not changed.rowcount:
                raise NotFound(what="version", id=str(number))

        await self._database.write(update)

    async def version(self, workspace: str, workflow: str, number: int) -> Content:
        """The content of one version. Raises NotFound."""
        row = await self._database.row(
            "SELECT c.id, c.hash, c.document, c.checksum FROM versions v "
            "JOIN contents c ON c.id = v.content_id "
            "WHERE v.workspace_id = ? AND v.workflow_id = ? AND v.number = ?",
            (workspace, workflow, number),
        )
        if row is None:
            raise NotFound(what="version", id=str(number))
        return _content(row)

    async def version_of(self, workspace: str, workflow: str, content: int, at_us: int) -> int | None:
        """The newest version that had this content at that time; None where no version had it."""
        row = await self._database.row(
            "SELECT max(number) AS number FROM versions "
            "WHERE workspace_id = ? AND workflow_id = ? AND content_id = ? AND created <= ?",
            (workspace, workflow, content, at_us),
        )
        return None if row is None else row["number"]

    async def unpublish(self, workspace: str, workflow: str) -> None:
        """Stop the triggers; accepted runs go on. Raises NotFound."""
        now = self._clock.now_us()

        def update(connection: sqlite3.Connection) -> None:
            _current_seq(connection, workspace, workflow)
            connection.execute(
                "UPDATE workflows SET active = 0, published = NULL WHERE workspace_id = ? AND id = ?",
                (workspace, workflow),
            )
            connection.execute(
                "DELETE FROM hooks WHERE workspace_id = ? AND workflow_id = ?", (workspace, workflow)
            )
            replace_schedules(connection, workspace, workflow, [], now)

        await self._database.write(update)

    async def published(self, workspace: str, workflow: str) -> Content | None:
        """The content that triggers fire; None while unpublished."""
        row = await self._database.row(
            "SELECT c.id, c.hash, c.document, c.checksum FROM workflows w "
            "JOIN versions v ON v.workspace_id = w.workspace_id AND v.workflow_id = w.id "
            "AND v.number = w.published JOIN contents c ON c.id = v.content_id "
            "WHERE w.workspace_id = ? AND w.id = ? AND w.active = 1",
            (workspace, workflow),
        )
        return None if row is None else _content(row)

    async def versions(self, workspace: str, workflow: str) -> Sequence[Version]:
        """The published versions, newest first."""
        rows = await self._database.rows(
            "SELECT v.number, c.hash, v.created, v.note, v.author FROM versions v "
            "JOIN contents c ON c.id = v.content_id "
            "WHERE v.workspace_id = ? AND v.workflow_id = ? ORDER BY v.number DESC",
            (workspace, workflow),
        )
        return [
            Version(
                number=r["number"],
                hash=bytes(r["hash"]).hex(),
                created=r["created"],
                note=r["note"],
                author=r["author"],
            )
            for r in rows
        ]

    async def hooks(self) -> Sequence[Hook]:
        """All published webhook paths, of every workspace: a path names its workspace."""
        rows = await self._database.rows("SELECT workspace_id, path, workflow_id, node FROM hooks")
        return [
            Hook(workspace=r["workspace_id"], path=r["path"], workflow=r["workflow_id"], node=r["node"])
            for r in rows
        ]

    async def credential_uses(self, workspace: str) -> Mapping[str, Sequence[CredentialUse]]:
        """Which workflows' drafts name a credential, by its id."""
        rows = await self._database.rows(
            "SELECT n.value ->> '$.credential' AS credential, w.id, w.name, w.active, count(*) AS nodes "
            "FROM workflows w, json_each(CAST(w.draft AS TEXT), '$.nodes') n WHERE w.workspace_id = ? "
            "AND n.value ->> '$.credential' IS NOT NULL GROUP BY 1, w.id ORDER BY w.name, w.id",
            (workspace,),
        )
        uses: dict[str, Any] = {}
        for row in rows:
            use = CredentialUse(row["id"], row["name"] or row["id"], bool(row["active"]), row["nodes"])
            uses.setdefault(row["credential"], []).append(use)
        return uses

    async def webhook_nodes(self, workspace: str) -> Sequence[WebhookNode]:
        """Every webhook in the drafts of a workspace, by the name of its workflow."""
        rows = await self._database.rows(
            "SELECT w.id, w.name, w.active, n.value ->> '$.id' AS node, "
            "ifnull(n.value ->> '$.config.path', '') AS path, "
            "ifnull(n.value ->> '$.config.auth', 'none') AS auth, "
            "n.value -> '$.config.methods' AS methods "
            "FROM workflows w, json_each(CAST(w.draft AS TEXT), '$.nodes') n WHERE w.workspace_id = ? "
            "AND n.value ->> '$.type' = 'trigger.webhook' ORDER BY w.name, w.id",
            (workspace,),
        )
        return [
            WebhookNode(
                workflow=row["id"],
                name=row["name"] or row["id"],
                active=bool(row["active"]),
                node=row["node"],
                path=row["path"],
                auth=row["auth"],
                methods=msgspec.json.decode(row["methods"]) if row["methods"] else ["POST"],
            )
            for row in rows
        ]

    async def draft_hooks(self) -> Sequence[Hook]:
        """The webhooks that are on in the drafts of every workspace, the last changed first."""
        rows = await self._database.rows(
            "SELECT w.workspace_id, w.id, n.value ->> '$.id' AS node, n.value ->> '$.config.path' AS path "
            "FROM workflows w, json_each(CAST(w.draft AS TEXT), '$.nodes') n "
            "WHERE instr(w.draft, CAST('trigger.webhook' AS BLOB)) "
            "AND n.value ->> '$.type' = 'trigger.webhook' AND NOT ifnull(n.value ->> '$.disabled', 0) "
            "AND json_type(n.value, '$.config.path') = 'text' ORDER BY w.updated DESC"
        )
        return [
            Hook(workspace=r["workspace_id"], path=r["path"], workflow=r["id"], node=r["node"]) for r in rows
        ]


def _columns(workflow: Workflow) -> tuple[Any, ...]:
    tags = msgspec.json.encode(workflow.tags).decode()
    plain = document.to_json(workflow)
    return (workflow.name, workflow.description, workflow.folder, tags, plain)


def _summary(row: sqlite3.Row) -> WorkflowSummary:
    return WorkflowSummary(
        id=row["id"],
        name=row["name"] or row["id"],
        description=row["description"],
        folder=row["folder"],
        tags=msgspec.json.decode(row["tags"]),
        seq=row["seq"],
        published=row["published"],
        active=bool(row["active"]),
        created=row["created"],
        updated=row["updated"],
        last_number=row["last_number"],
    )


def _draft(row: sqlite3.Row) -> Draft:
    return Draft(summary=_summary(row), document=document.kept(bytes(row["draft"])))


def _content(row: sqlite3.Row) -> Content:
    stored = bytes(row["document"])
    if zlib.crc32(stored) != row["checksum"]:
        raise SegmentBroken(execution=f"content {row['id']}", reason="its checksum is wrong")
    return Content(id=row["id"], hash=bytes(row["hash"]), document=document.kept(stored))


def _outcomes(
    connection: sqlite3.Connection, workspace: str, workflow: str, ids: Sequence[str]
) -> dict[str, bytes]:
    """What is kept of operations that came before."""
    kept: dict[str, bytes] = {}
    for name in dict.fromkeys(ids):
        found = connection.execute(
            "SELECT answer FROM operations WHERE workspace_id = ? AND workflow_id = ? AND id = ?",
            (workspace, workflow, name),
        ).fetchone()
        if found is not None:
            kept[name] = bytes(found["answer"])
    return kept


def _current_seq(connection: sqlite3.Connection, workspace: str, workflow: str) -> int:
    found = connection.execute(
        "SELECT seq FROM workflows WHERE workspace_id = ? AND id = ?", (workspace, workflow)
    ).fetchone()
    if found is None:
        raise NotFound(what="workflow", id=workflow)
    return int(found["seq"])


def _freeze(connection: sqlite3.Connection, workspace: str, plain: bytes, digest: bytes) -> int:
    connection.execute(
        "INSERT OR IGNORE INTO contents (workspace_id, hash, document, checksum) VALUES (?, ?, ?, ?)",
        (workspace, digest, plain, zlib.crc32(plain)),
    )
    found = connection.execute(
        "SELECT id FROM contents WHERE workspace_id = ? AND hash = ?", (workspace, digest)
    ).fetchone()
    return int(found["id"])


def _add_version(
    connection: sqlite3.Connection,
    workspace: str,
    workflow: str,
    content: int,
    note: str,
    author: str,
    now: int,
) -> int:
    found = connection.execute(
        "SELECT ifnull(max(number), 0) FROM versions WHERE workspace_id = ? AND workflow_id = ?",
        (workspace, workflow),
    ).fetchone()
    number = int(found[0]) + 1
    connection.execute(
        "INSERT INTO versions (workspace_id, workflow_id, number, content_id, note, author, created) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (workspace, workflow, number, content, note, author, now),
    )
    return number


def _go_live(
    connection: sqlite3.Connection,
    workspace: str,
    workflow: str,
    number: int,
    hooks: Sequence[tuple[str, str]],
    schedules: Sequence[Schedule],
    now: int,
) -> None:
    connection.execute("DELETE FROM hooks WHERE workspace_id = ? AND workflow_id = ?", (workspace, workflow))
    for path, node in hooks:
        _claim_hook(connection, workspace, path, workflow, node)
    replace_schedules(connection, workspace, workflow, schedules, now)
    connection.execute(
        "UPDATE workflows SET published = ?, active = 1, updated = ? WHERE workspace_id = ? AND id = ?",
        (number, now, workspace, workflow),
    )


def _claim_hook(connection: sqlite3.Connection, workspace: str, path: str, workflow: str, node: str) -> None:
    """Take a path for a webhook; two that differ only in how their `{names}` are called are one."""
    shape = _NAME_IN_PATH.sub("{}", path)
    for row in connection.execute("SELECT path, workflow_id, node FROM hooks"):
        if _NAME_IN_PATH.sub("{}", row["path"]) == shape:
            owner = f"{row['workflow_id']}.{row['node']}"
            raise Conflict(reason=f"The webhook path “{path}” belongs to “{owner}”")
    connection.execute(
        "INSERT INTO hooks (path, workspace_id, workflow_id, node) VALUES (?, ?, ?, ?)",
        (path, workspace, workflow, node),
    )
