"""The composition root: built top to bottom without I/O, opened in order, closed in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flowfuse.clock import Clock, Ids, id_text
from flowfuse.config import Config
from flowfuse.data.accounts import Accounts
from flowfuse.data.audit import AuditLog
from flowfuse.data.backup import Backups
from flowfuse.data.breakers import BreakerRepository
from flowfuse.data.calls import WebhookCalls
from flowfuse.data.database import Database
from flowfuse.data.dead_letters import DeadLetters
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.files import FileStore
from flowfuse.data.folder import DataFolder
from flowfuse.data.follow_ups import FollowUpRepository
from flowfuse.data.histogram import Histogram
from flowfuse.data.keys import ApiKeys
from flowfuse.data.passwords import Passwords
from flowfuse.data.preferences import Preferences, PreferenceStore
from flowfuse.data.retention import Retention
from flowfuse.data.schedules import ScheduleRepository
from flowfuse.data.seen import SeenItems
from flowfuse.data.sessions import Sessions
from flowfuse.data.storage import Storage
from flowfuse.data.tokens import Tokens
from flowfuse.data.trash import Trash
from flowfuse.data.views import Views
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.copies import Copies
from flowfuse.engine.drafts import Drafts
from flowfuse.engine.executor import NodeExecutor
from flowfuse.engine.follow_ups import FollowUps
from flowfuse.engine.history import History
from flowfuse.engine.operations import Editor
from flowfuse.engine.queue import QueueManager
from flowfuse.engine.retry import Retry
from flowfuse.engine.rollback import Rollback
from flowfuse.engine.scheduler import DateJob, SchedulerService
from flowfuse.engine.state import StateManager
from flowfuse.engine.validation import ValidationEngine
from flowfuse.errors import ConfigInvalid, DatabaseUnavailable, RequestInvalid
from flowfuse.events import EventBus
from flowfuse.integrations.addresses import AddressGuard, parse_allowance
from flowfuse.integrations.client import APIClient
from flowfuse.integrations.folders import FolderGuard, check_folders
from flowfuse.integrations.oidc import SingleSignOn
from flowfuse.integrations.vault import CredentialVault
from flowfuse.model import WORKSPACE
from flowfuse.nodes import catalogue
from flowfuse.pages.auth import AuthManager
from flowfuse.pages.drawing import Drawings
from flowfuse.pages.gate import Gate
from flowfuse.pages.hook_paths import DraftHooks
from flowfuse.pages.hook_trap import HookTrap
from flowfuse.pages.hooks import Hooks, HookTable
from flowfuse.pages.render import Templates
from flowfuse.resources import asset_root
from flowfuse.sandbox.runner import CodeRunner
from flowfuse.seal import Sealer
from flowfuse.supervisor import Supervisor

if TYPE_CHECKING:
    from litestar import Litestar

log = logging.getLogger("flowfuse.app")

SITE_AFTER = 0.5
"""Seconds after the start at which the site is built, if nobody has asked for it before."""
HEALTH_EVERY = 1.0
COLLECT_EVERY = 60.0
QUIET, SMALL_JOURNAL = 20.0, 1_000_000
"""After so many quiet seconds, a journal over so many bytes is folded into the database."""


class FlowFuse:
    """The application: a gate, webhooks behind it, and the site, which is built when it is first asked for.

    Building the site (importing the framework, registering every route) takes longer than all else of a
    start, and a webhook that comes first must not wait for it.
    """

    def __init__(
        self, engine: Engine, hooks: Hooks, gate: Gate, auth: AuthManager, build: Callable[[], Litestar]
    ) -> None:
        self.engine, self.hooks, self.gate, self.auth = engine, hooks, gate, auth
        self._build = build
        self._site: Litestar | None = None
        self._building = threading.Lock()
        self.built: Callable[[], None] = lambda: None
        """Called when the site has been built: the last large part of a start."""

    @property
    def site(self) -> Litestar:
        """The pages and the API. Raises TypeError where a route says nothing of who may use it."""
        with self._building:
            if self._site is None:
                self._site = self._build()
                self.built()
            return self._site

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open everything in order, close it in reverse."""
        async with self.engine.running():
            await self.auth.open(self.engine.folder.token())
            if self.engine.config.demos:
                await _first_workflow(self.engine)
            building = asyncio.create_task(self._build_soon())
            try:
                yield
            finally:
                building.cancel()

    async def _build_soon(self) -> None:
        """Have the site ready before somebody waits for it, once the first webhooks were answered."""
        await asyncio.sleep(SITE_AFTER)
        await asyncio.to_thread(lambda: self.site)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        refused = self.gate.refusal(scope)
        if refused is not None:
            await self.gate.refuse(refused, scope, send)
            return
        if scope["type"] == "http" and scope["path"].startswith("/hook/"):
            # The framework's way to the same mount costs as much as a small run.
            await self.hooks.published(scope, receive, send)
            return
        if scope["path"].startswith("/hook-draft/"):
            # The framework takes it for a path below /hook.
            await self.hooks.draft(scope, receive, send)
            return
        site = self._site if self._site is not None else await asyncio.to_thread(lambda: self.site)
        if scope["type"] == "websocket":
            await self.auth.while_signed_in(site, scope, receive, send)
            return
        await site(scope, receive, self.gate.with_headers(send))

    async def _live(self, receive: Any, send: Any) -> None:
        """The ASGI lifespan, for servers that drive it."""
        await receive()
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            log.exception("The application did not open or close")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


class Engine:
    """Everything behind the pages, wired once. The command line runs workflows on it without a server."""

    def __init__(self, config: Config, folder: DataFolder, *, clock: Clock | None = None) -> None:
        self.config, self.folder = config, folder
        self.clock = clock if clock is not None else Clock()
        self.ids = Ids(self.clock)
        self._draining: asyncio.Task[None] | None = None
        self.bus = EventBus()
        self.supervisor = Supervisor()
        self.database = Database(folder.database, asset_root("migrations"))
        self.backups = Backups(folder.path, asset_root("migrations"), self.clock)
        self.database.before_migration = self.backups.before_migration
        self.storage = Storage(folder.path, self.database, self.clock)
        self.preferences = PreferenceStore(self.database, self.clock)
        self.executions = ExecutionRepository(self.database)
        self.histogram = Histogram(self.executions)
        self.workflows = WorkflowRepository(self.database, self.clock, Editor)
        self.trash = Trash(self.database, self.clock)
        self.calls = WebhookCalls(self.database, self.clock)
        self.views = Views(self.database)
        self.schedules = ScheduleRepository(self.database)
        self.retention = Retention(self.database, self.workflows, self.preferences, self.clock)
        self.sessions = Sessions(self.database, self.clock, self.ids)
        self.accounts = Accounts(self.database, self.clock, self.ids, self.sessions)
        self.keys = ApiKeys(self.database, self.clock, self.ids)
        self.audit = AuditLog(self.database, self.clock)
        self.vault = CredentialVault(self.database, self.clock)
        self.tokens = Tokens(self.database, self.clock, self.ids, self.vault.token_key)
        self.files = FileStore(folder.files, self.database, self.clock)
        self.guard = AddressGuard([parse_allowance(text) for text in config.network.allow])
        self.preferences.checks["network.allow"] = _check_allowed
        self.folders = FolderGuard(folder.path)
        self.preferences.checks["files.folders"] = check_folders
        self.preferences.on_change.append(self._allow)
        self.api = APIClient(
            self.guard,
            own_port=config.port,
            files=self.files,
            proxy=config.network.proxy,
            no_proxy=[parse_allowance(text) for text in config.network.no_proxy],
        )
        self.code = CodeRunner()
        self.catalogue = catalogue(
            self.api, self.code, self.files, self.folders, SeenItems(self.database, self.clock)
        )
        self.validation = ValidationEngine(self.catalogue)
        self.queue = QueueManager(self.database)
        follow_ups = FollowUpRepository(self.database)
        self.state = StateManager(self.executions, self.vault)
        self.controller = ExecutionController(
            clock=self.clock,
            ids=self.ids,
            random=random.random,
            bus=self.bus,
            executions=self.executions,
            workflows=self.workflows,
            follow_ups=follow_ups,
            breakers=BreakerRepository(self.database),
            queue=self.queue,
            state=self.state,
            executor=NodeExecutor(self.clock, self.vault),
            catalogue=self.catalogue,
            max_running=config.max_running,
            max_pending=config.max_pending,
            resume_url=self._resume_url,
            breaker_failures=config.breaker_failures,
        )
        self.history = History(self.executions, self.workflows, self.state, self.controller)
        self.follow_ups = FollowUps(
            self.clock,
            follow_ups,
            self.executions,
            self.workflows,
            self.history,
            self.controller,
            self.bus,
        )
        copies = Copies(self.executions, self.queue, self.controller, self.ids, self.clock)
        self.rollback = Rollback(self.executions, self.state, self.history, self.controller, copies)
        self.dead_letters = DeadLetters(self.database, self.clock)
        self.retry = Retry(
            self.executions,
            self.workflows,
            self.state,
            self.history,
            self.dead_letters,
            self.controller,
            copies,
        )
        self.drafts = Drafts(
            self.workflows, self.validation, self.controller, self.catalogue, self.clock, self.ids, self.bus
        )
        self.scheduler = SchedulerService(self.clock, self.schedules, self.controller, self.bus, DateJob())

    @asynccontextmanager
    async def running(self, *, work: bool = True) -> AsyncIterator[Engine]:
        """Open in order: database (migrates), vault, controller (recovers), loops; close in reverse.

        Without `work`, nothing that waits in the database is begun: only what is started here runs.
        """
        async with AsyncExitStack() as stack:
            await self.database.open()
            stack.push_async_callback(self.database.close)
            await self.files.open()
            self.vault.unlock(Sealer(await self._master_key()))
            stack.push_async_callback(self.api.close)
            stack.push_async_callback(self.code.close)
            await self.vault.check_key()
            self._allow(WORKSPACE, await self.preferences.get(WORKSPACE))
            self.queue.own_only = not work
            if not work:
                await self.follow_ups.leave_others()
            await self.controller.open()
            stack.push_async_callback(self.drain)
            self.supervisor.run("follow-ups", self.follow_ups.work)
            self.supervisor.run("controller", self.controller.work)
            if work:
                self.supervisor.run("scheduler", self.scheduler.work)
                self.supervisor.run("retention", self._collect)
                self.supervisor.run("backups", lambda: self.backups.work(self.preferences))
                if self.controller.died:
                    self.supervisor.run("structure", self.storage.check_structure)
            self.supervisor.run("health", self._watch_health)
            self.supervisor.run("files", self.files.watch)
            stack.push_async_callback(self.supervisor.stop)
            yield self

    def _allow(self, workspace: str, preferences: Preferences) -> None:
        """The addresses and folders that the first workspace allows hold for the install."""
        if workspace == WORKSPACE:
            self.guard.allow_also([parse_allowance(text) for text in preferences.network.allow])
            self.folders.allow(preferences.files.folders)

    def _resume_url(self, execution: bytes) -> str:
        base = self.config.public_url.rstrip("/") or self.config.address
        return f"{base}/resume/{id_text(execution)}/{self.vault.sign('resume', execution)}"

    async def drain(self) -> None:
        """Take no new work, and wait until what runs has ended, or its time is up. Whoever asks, once."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self.controller.drain(self.config.grace))
        await asyncio.wait([self._draining])
        if not self._draining.cancelled() and (error := self._draining.exception()) is not None:
            log.error("Not everything could be put away: %s", error)

    def hurry(self) -> None:
        """Wait for nothing any more: what runs is resumed at the next start, as after a crash."""
        if self._draining is not None:
            self._draining.cancel()

    async def _master_key(self) -> bytes:
        sealed_before = False
        if self.config.master_key is None and not (self.folder.path / "master.key").exists():
            sealed_before = await self.vault.any_sealed()
        return self.folder.master_key(self.config.master_key, sealed_before=sealed_before)

    async def _collect(self) -> None:
        """Each minute: what is over the limits of history, and delivery ids that are too old."""
        while True:
            await self.clock.sleep(COLLECT_EVERY)
            await self.queue.forget_deliveries(self.clock.now_us())
            await self.trash.empty_old()
            await self.vault.forget_old()
            await self.retention.collect()

    async def _watch_health(self) -> None:
        """Each second: is there room on the disk; do commits succeed again; is the journal to be folded.

        The first commit that succeeds lets the dropped runs go on.
        """
        quiet_since, commits = self.clock.perf(), self.database.commits
        while True:
            await asyncio.sleep(HEALTH_EVERY)
            if self.database.commits != commits:
                quiet_since, commits = self.clock.perf(), self.database.commits
            elif self.clock.perf() - quiet_since > QUIET and self.database.journal_bytes() > SMALL_JOURNAL:
                with contextlib.suppress(DatabaseUnavailable):
                    await self.database.fold_journal()
            self.controller.disk_free = self.storage.low()
            if self.database.trouble is not None:
                await self.controller.try_again()


def _check_allowed(texts: list[str]) -> None:
    for text in texts:
        try:
            parse_allowance(text)
        except ConfigInvalid as error:
            raise RequestInvalid(field="network.allow", reason=error.parameters["reason"]) from None


def create_app(
    config: Config, folder: DataFolder | None = None, extra: Callable[[], Sequence[Any]] = tuple
) -> FlowFuse:
    """The whole application for one data folder; nothing is opened yet. `extra` makes more routes."""
    folder = folder if folder is not None else DataFolder(config.data)
    engine = Engine(config, folder)
    table = HookTable(engine.workflows, engine.controller, engine.bus)
    draft_hooks = DraftHooks(engine.workflows, engine.bus)
    hooks = Hooks(
        table, engine.controller, engine.history, engine.workflows, engine.drafts,
        engine.vault, engine.files, engine.clock, draft_hooks,
        HookTrap(engine.workflows, engine.calls, engine.vault, draft_hooks, engine.clock.now_us),
    )  # fmt: skip

    templates = LazyTemplates(engine.clock)
    drawings = Drawings(engine.workflows, engine.validation, engine.catalogue, templates.render)

    services: dict[str, Any] = {
        "workflows": engine.workflows,
        "executions": engine.executions,
        "controller": engine.controller,
        "schedules": engine.schedules,
        "scheduler": engine.scheduler,
        "drafts": engine.drafts,
        "history": engine.history,
        "rollback": engine.rollback,
        "retries": engine.retry,
        "dead_letters": engine.dead_letters,
        "states": engine.state,
        "catalogue": engine.catalogue,
        "vault": engine.vault,
        "api": engine.api,
        "code_runner": engine.code,
        "files": engine.files,
        "histogram": engine.histogram,
        "trash": engine.trash,
        "calls": engine.calls,
        "views": engine.views,
        "public_address": config.public_url.rstrip("/"),
        "accounts": engine.accounts,
        "sessions": engine.sessions,
        "keys": engine.keys,
        "tokens": engine.tokens,
        "audit": engine.audit,
        "database": engine.database,
        "storage": engine.storage,
        "backups": engine.backups,
        "preferences": engine.preferences,
        "bus": engine.bus,
        "clock": engine.clock,
        "ids": engine.ids,
        "drawings": drawings,
        "runner": engine.code,
    }

    auth = AuthManager(
        accounts=engine.accounts, sessions=engine.sessions, keys=engine.keys, tokens=engine.tokens,
        passwords=Passwords(), sealer=engine.vault.sealer, clock=engine.clock, ids=engine.ids,
        secure=config.secure, proxies=tuple(config.proxies),
    )  # fmt: skip
    gate = Gate(
        [*config.hosts, *names_of(config)], config.port, lan=config.lan, tls=config.serves_tls,
        claimed=lambda: auth.claimed,
    )  # fmt: skip

    def build() -> Litestar:
        from flowfuse.pages.audit_trail import AuditTrail
        from flowfuse.pages.presence import Rooms
        from flowfuse.pages.run_reader import RunReader
        from flowfuse.pages.single_sign_on import Newcomers
        from flowfuse.pages.site import make_site

        oidc = config.oidc
        trail = AuditTrail(engine.audit, auth, engine.clock.now_us)
        services["rooms"], services["run_reader"] = (
            Rooms(engine.bus),
            RunReader(engine.executions, engine.history),
        )
        services["auth"], services["gate"], services["trail"] = auth, gate, trail
        services["sso"] = _single_sign_on(config, engine)
        services["newcomers"] = Newcomers(oidc.role, tuple(oidc.domains), config.public_url)
        sso_name = oidc.name if oidc.issuer else ""
        state = {"auth": auth, "templates": templates, "sso_name": sso_name, "kept_texts": {}}
        return make_site(services, state, hooks, trail, extra())

    return FlowFuse(engine, hooks, gate, auth, build)


def _single_sign_on(config: Config, engine: Engine) -> SingleSignOn | None:
    oidc = config.oidc
    if not oidc.issuer:
        return None
    return SingleSignOn(
        engine.api, engine.clock, engine.ids,
        issuer=oidc.issuer, client_id=oidc.client_id, client_secret=oidc.client_secret,
    )  # fmt: skip


def names_of(config: Config) -> list[str]:
    """The names under which others on the LAN, or by the public address, ask for the server."""
    public = urlsplit(config.public_url).hostname if config.public_url else None
    found = [public] if public else []
    if config.lan:
        name = socket.gethostname().lower()
        found += [name, f"{name.partition('.')[0]}.local"]
    return found


class LazyTemplates:
    """The page templates, loaded when the first page is asked for: a webhook needs none of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._templates: Templates | None = None

    def render(self, name: str, **context: Any) -> str:
        """See `Templates.render`."""
        if self._templates is None:
            self._templates = Templates(self._clock.now_us)
        return self._templates.render(name, **context)


async def _first_workflow(engine: Engine) -> None:
    """An empty data folder gets the demo workflow, so that there is something to run."""
    if await engine.workflows.list(WORKSPACE) or await engine.executions.list(WORKSPACE, limit=1):
        return
    from flowfuse.demos import demo_workflows

    for workflow in demo_workflows():
        await engine.drafts.create(WORKSPACE, workflow)
        await engine.drafts.publish(WORKSPACE, workflow.id or "", "The first version")
