"""AuthManager: who asks, how people sign in, and what keeps guessers out."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from flowfuse.clock import Clock, Ids
from flowfuse.data.accounts import Accounts, SignInSecrets, check_email, check_name
from flowfuse.data.attempts import Attempts
from flowfuse.data.keys import ApiKeys, KeyHolder
from flowfuse.data.passwords import Passwords
from flowfuse.data.roles import PERMISSIONS, ROLES, SELF
from flowfuse.data.second_factor import step_of
from flowfuse.data.secrets import digest, is_key, new_secret
from flowfuse.data.sessions import SESSION_US, Client, Session, Sessions
from flowfuse.data.tokens import Tokens, is_access_token
from flowfuse.errors import CodeSpent, Denied, SignInNeeded, WrongPassword
from flowfuse.model import WORKSPACE
from flowfuse.pages.identity import SESSION_COOKIES, Identity
from flowfuse.seal import Sealer

if TYPE_CHECKING:
    from flowfuse.pages.guards import Connection

PER_ACCOUNT, PER_ADDRESS = 5, 20
"""Wrong tries within 15 minutes, by e-mail and by network address."""
SETUP_US = 15 * 60 * 1_000_000
SETUP_TRIES, SETUP_WINDOW_US = 5, 60 * 1_000_000
TICKET_US = 5 * 60 * 1_000_000
_TICKETS = 1000
SESSION_ENDED = 4401
TOTP_PLACE = "users/{user}/totp"
_MISMATCH = "E-mail and password do not match."


class Ticket(Struct, frozen=True):
    """Somebody whose password was right, and whose second factor is asked for."""

    user: str
    expires: int


class Opened(Struct, frozen=True, kw_only=True):
    """How far a sign-in came: a session's secret, or a ticket for the second factor."""

    secret: str = ""
    ticket: str = ""


class AuthManager:
    """Knows callers by token, key, JWT or session, and opens sessions."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        sessions: Sessions,
        keys: ApiKeys,
        tokens: Tokens,
        passwords: Passwords,
        sealer: Callable[[], Sealer],
        clock: Clock,
        ids: Ids,
        secure: bool,
        proxies: tuple[str, ...] = (),
    ) -> None:
        self._accounts, self._sessions, self._keys, self._tokens = accounts, sessions, keys, tokens
        self._passwords, self._sealer, self._clock, self._ids = passwords, sealer, clock, ids
        self._secure, self._proxies = secure, frozenset(proxies)
        self._attempts = Attempts(clock)
        self._setup_tries = Attempts(clock, SETUP_WINDOW_US)
        self._tickets: dict[bytes, Ticket] = {}
        self._setup: tuple[bytes, int] | None = None
        self.install_token = ""
        self.claimed = False
        """Whether an owner can sign in from elsewhere."""
        self.by_password = False
        """Whether anybody has a password."""
        self.cookie = SESSION_COOKIES[secure]

    async def open(self, install_token: str) -> None:
        """Learn the install's token, and whether it has an owner who can sign in from elsewhere."""
        self.install_token = install_token
        await self._accounts.owner()
        await self.refresh()

    async def refresh(self) -> None:
        """Somebody got a password: look again who can sign in."""
        self.claimed = await self._accounts.claimed()
        self.by_password = await self._accounts.anyone()

    # -- who asks

    async def identify(self, connection: Connection) -> Identity:
        """Who asks. Raises SignInNeeded."""
        authorization = connection.headers.get("authorization", "")
        if authorization[:7].lower() == "bearer ":
            return await self._bearer(authorization[7:].strip())
        secret = connection.cookies.get(self.cookie)
        session = await self._sessions.find(secret) if secret else None
        if session is None:
            raise SignInNeeded()
        return _of_session(session)

    async def _bearer(self, secret: str) -> Identity:
        if hmac.compare_digest(secret.encode(), self.install_token.encode()):
            return Identity(
                workspace=WORKSPACE, user="", name="The install's token", role="owner",
                permissions=frozenset(PERMISSIONS) | {SELF}, via="token",
            )  # fmt: skip
        if is_key(secret):
            return _held(await self._keys.find(secret), "key")
        if is_access_token(secret):
            return _held(await self._tokens.find(secret), "jwt")
        raise SignInNeeded()

    async def while_signed_in(self, site: Any, scope: Any, receive: Any, send: Any) -> None:
        """Serve a WebSocket till its session ends: to its handler that is as if the browser had left."""
        secret = _cookie(scope, self.cookie)
        with self._sessions.watching(secret) as ended:
            waiting = asyncio.ensure_future(ended.wait())
            coming: asyncio.Future[Any] | None = None

            async def receiving() -> Any:
                nonlocal coming
                coming = coming or asyncio.ensure_future(receive())
                await asyncio.wait([coming, waiting], return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    return {"type": "websocket.disconnect", "code": SESSION_ENDED}
                message, coming = coming.result(), None
                return message

            try:
                await site(scope, receiving, send)
            finally:
                waiting.cancel()
                if coming is not None:
                    coming.cancel()

    def client_of(self, connection: Connection) -> Client:
        """Whence somebody asks. A proxy's word for it counts only where the settings name the proxy."""
        ip = connection.client.host if connection.client else ""
        if ip in self._proxies:
            forwarded = connection.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            ip = forwarded or ip
        return Client(ip, connection.headers.get("user-agent", ""))

    # -- signing in

    async def sign_in(self, email: str, password: str, client: Client, instead_of: str = "") -> Opened:
        """By password. Raises WrongPassword, TooManyAttempts."""
        account, address = f"account {email.strip().lower()[:200]}", f"address {client.ip}"
        async with self._attempts.one((account, PER_ACCOUNT), (address, PER_ADDRESS)):
            secrets = await self._accounts.secrets(email=email) if email.strip() else None
            right, better = await self._passwords.check(password, secrets.password if secrets else None)
            if not right or secrets is None:
                raise WrongPassword(reason=self._say_left(account))
        if better is not None:
            await self._accounts.change(secrets.user, password=better)
        if secrets.totp is not None:
            return Opened(ticket=self._ticket(secrets.user))
        self._attempts.forget(account)
        return Opened(secret=await self.open_session(secrets.user, client, instead_of))

    async def second_factor(self, ticket: str, code: str, client: Client, instead_of: str = "") -> str:
        """A session's secret for a ticket and a code, or a recovery code. Raises WrongPassword,
        TooManyAttempts, SignInNeeded where the ticket is too old."""
        found = self._tickets.get(digest(ticket))
        if found is None or found.expires < self._clock.now_us():
            raise SignInNeeded()
        account, address = f"code {found.user}", f"address {client.ip}"
        async with self._attempts.one((account, PER_ACCOUNT), (address, PER_ADDRESS)):
            secrets = await self._accounts.secrets(user=found.user)
            if secrets is None or not await self.check_code(secrets, code):
                raise WrongPassword(reason=f"The code is not right. {self._tries(account)}")
        self._tickets.pop(digest(ticket), None)
        self._attempts.forget(account)
        return await self.open_session(found.user, client, instead_of)

    async def check_code(self, secrets: SignInSecrets, code: str) -> bool:
        """Whether a code of the second factor, or a recovery code, is right; it is used up by that."""
        if secrets.totp is None:
            return False
        place = TOTP_PLACE.format(user=secrets.user)
        secret = self._sealer().open(secrets.totp, WORKSPACE, place).decode()
        step = step_of(secret, code, self._clock.now_us(), secrets.totp_step)
        if step is not None:
            return await self._accounts.use_step(secrets.user, step)
        return await self._accounts.use_recovery(secrets.user, code.strip().lower())

    async def check_password(self, user: str, password: str, client: Client) -> None:
        """Once more, before something that matters. Raises WrongPassword, TooManyAttempts."""
        account, address = f"again {user}", f"address {client.ip}"
        async with self._attempts.one((account, PER_ACCOUNT), (address, PER_ADDRESS)):
            secrets = await self._accounts.secrets(user=user)
            right, _ = await self._passwords.check(password, secrets.password if secrets else None)
            if not right:
                raise WrongPassword(reason=f"The password is not right. {self._tries(account)}")
        self._attempts.forget(account)

    async def open_session(self, user: str, client: Client, instead_of: str = "") -> str:
        """A session where the user was last, or is a member now. Raises Denied for a member of nothing."""
        known = await self._accounts.user(user)
        theirs = [each.id for each in await self._accounts.workspaces(user)]
        if not theirs:
            raise Denied(reason="You are a member of no workspace any more; ask an owner to invite you")
        workspace = known.workspace if known.workspace in theirs else theirs[0]
        return await self._sessions.open(workspace, user, client, instead_of=instead_of)

    async def note_sign_in(self, connection: Connection, secret: str) -> None:
        """Whoever came in by this session is known from here on, also to the audit log."""
        session = await self._sessions.find(secret)
        if session is not None:
            connection.scope["state"]["identity"] = _of_session(session)
            connection.scope["state"]["audit"] = ("", "")

    def cookie_for(self, secret: str) -> dict[str, Any]:
        """The cookie of a session, as a response takes it."""
        return {
            "key": self.cookie, "value": secret, "path": "/", "httponly": True, "secure": self._secure,
            "samesite": "lax", "max_age": SESSION_US // 1_000_000,
        }  # fmt: skip

    # -- the owner, created from elsewhere

    def make_setup_code(self) -> str:
        """A code of 128 bits that makes the owner, once, within 15 minutes. A new one ends the old."""
        code = self._ids.token(16).hex()
        self._setup = (digest(code), self._clock.now_us() + SETUP_US)
        return code

    async def set_up(self, code: str, name: str, email: str, password: str, client: Client) -> str:
        """Make the install's owner; the secret of a session. Raises CodeSpent, WrongPassword,
        TooManyAttempts, RequestInvalid."""
        address = f"setup {client.ip}"
        self._setup_tries.check((address, SETUP_TRIES), ("setup", SETUP_TRIES * 4))
        if self.claimed or self._setup is None or self._setup[1] < self._clock.now_us():
            raise CodeSpent()
        if not hmac.compare_digest(digest(code.strip().lower()), self._setup[0]):
            self._setup_tries.fail(address, "setup")
            raise WrongPassword(reason="This is not the setup code that the terminal shows.")
        name, email = check_name(name), check_email(email)
        hashed = await self._passwords.hash(password, of=email)
        owner = await self._accounts.owner()
        await self._accounts.change(owner, name=name, email=email, password=hashed)
        self._setup = None
        await self.refresh()
        return await self.open_session(owner, client)

    # -- passwords

    async def set_password(self, user: str, password: str, *, but: str = "") -> None:
        """Give somebody a password; their other sessions end. Raises RequestInvalid."""
        known = await self._accounts.user(user)
        hashed = await self._passwords.hash(password, of=known.email)
        await self._accounts.change(user, password=hashed)
        await self._sessions.end_all(user, but=but)
        await self.refresh()

    def _ticket(self, user: str) -> str:
        now, ticket = self._clock.now_us(), new_secret(self._ids)
        if len(self._tickets) >= _TICKETS:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[digest(ticket)] = Ticket(user, now + TICKET_US)
        return ticket

    def _say_left(self, account: str) -> str:
        return f"{_MISMATCH} {self._tries(account)}"

    def _tries(self, account: str) -> str:
        left = self._attempts.left(account, PER_ACCOUNT)
        more = "One more try" if left == 1 else f"{left} more tries"
        return f"{more}, then a break of 15 minutes." if left else "Now a break of 15 minutes."


def _of_session(session: Session) -> Identity:
    return Identity(
        workspace=session.workspace,
        workspace_name=session.workspace_name,
        user=session.user,
        name=session.name,
        role=session.role,
        permissions=ROLES[session.role] | {SELF},
        via="session",
        session=session.id,
        language=session.language,
        theme=session.theme,
        single_keys=session.single_keys,
    )


def _held(holder: KeyHolder | None, via: str) -> Identity:
    """Whoever holds a key or token. Raises SignInNeeded."""
    if holder is None:
        raise SignInNeeded()
    return Identity(
        workspace=holder.workspace,
        user=holder.user,
        name=holder.name,
        role=holder.role,
        permissions=holder.permissions,
        via=via,
        key=holder.id if via == "key" else "",
    )


def _cookie(scope: Any, wanted: str) -> str:
    """A cookie of a request, as the browser sends it."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                if key == wanted:
                    return str(text)
    return ""


def secret_of(connection: Connection) -> str:
    """The secret of the session that asks; empty where none does."""
    auth: Any = connection.app.state.auth
    return connection.cookies.get(auth.cookie) or ""
