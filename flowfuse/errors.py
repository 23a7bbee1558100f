"""The one error hierarchy. A code is stable and meant for programs; the sentence is for people.

FlowFuseError
  Invalid            WorkflowInvalid  ParamsInvalid  ExpressionInvalid  RequestInvalid  ConfigInvalid
                     ScheduleInvalid  TooLarge  ConditionMissing  MethodNotTaken
  NotFound  Denied  SignInNeeded  CallDenied  WrongPassword  CodeSpent
  Conflict           StaleVersion  Duplicate  IllegalTransition  MissingType
  Unavailable        TooManyAttempts  QueueFull  CircuitOpen  DiskLow  VaultLocked  Draining
                     DatabaseUnavailable
                     ServerLost  Refused  FileNotKept  HookLocked
  NodeFailed         recorded on the run, never an HTTP answer
    ExpressionFailed LoopLimit  RemoteError  NodeTimeout  ConnectionLost  AddressDenied
    CallFailed       WaitExpired  PathDenied
    OutputInvalid (OutputMismatch)  NodeStopped  Interrupted  CodeError
  Corrupt            SealBroken  SegmentBroken  DatabaseDamaged  BackupInvalid  MigrationFailed
Halt (BaseException) cancel reaching into a node; node code that catches Exception cannot swallow it

Every error is a code and parameters; `SENTENCES` turns them into words, so that a second language is
a second table.
"""

from __future__ import annotations

from typing import Any, ClassVar

SENTENCES: dict[str, str] = {
    "workflow_invalid": "The workflow has {count} problem(s): {first}",
    "params_invalid": "{field}: {reason}",
    "expression_invalid": "{reason}",
    "request_invalid": "{field}: {reason}",
    "schedule_invalid": "{field}: {reason}",
    "condition_missing": "Say by If-Match which state of the draft the change is based on: its ETag.",
    "method_not_allowed": "{method} is not taken here, but {allowed}.",
    "too_large": "The {what} is larger than {limit} bytes.",
    "not_found": "There is no {what} “{id}”.",
    "denied": "{reason}",
    "sign_in_needed": "Sign in first. `flowfuse link` prints a one-time link.",
    "wrong_password": "{reason}",
    "too_many_attempts": "Too many wrong tries. Try again in {seconds} s.",
    "code_spent": "The setup code was used, or is older than 15 minutes. `flowfuse link` prints a new one.",
    "call_denied": "What the call proves itself by is missing or wrong.",
    "hook_locked": "The webhook cannot check who calls: {reason}.",
    "conflict": "{reason}",
    "stale_version": "The draft is at {current}, not at {given}. Read it again and repeat the change.",
    "duplicate": "The delivery {delivery} was accepted before, as {execution}.",
    "illegal_transition": "An execution that is {state} cannot become {target}.",
    "missing_type": "{reason}",
    "queue_full": "{pending} executions are waiting, which is the limit.",
    "vault_locked": "{reason}",
    "draining": "The server is shutting down.",
    "database_unavailable": "The database cannot be written: {reason}",
    "server_lost": "The server at {address} does not answer: {reason}",
    "refused": "{reason}",
    "file_not_kept": "The file cannot be kept: {reason}. Nothing of it was stored.",
    "expression_failed": "{reason}",
    "loop_limit": "The loop did not end within {limit} rounds.",
    "remote_error": "{method} {host} answered {status}{detail}",
    "node_timeout": "The node did not end within {seconds} s.",
    "connection_lost": "{method} {host}: {reason}",
    "path_denied": "{path} is not a file that this workflow may reach: {reason}",
    "address_denied": "{host} is not an address that this workflow may call: {reason}",
    "call_failed": "The workflow “{workflow}”: {reason}",
    "wait_expired": "Nobody {what} within the time that was given.",
    "output_invalid": "The node's output is not a JSON value: {reason}",
    "output_mismatch": "The node's output is JSON, but not what its type gives: {reason}",
    "stopped": "{reason}",
    "code_error": "{reason}",
    "interrupted": "The server stopped while this node was running, so it may have had its effect.",
    "config_invalid": "{field}: {reason}",
    "seal_broken": "{reason}",
    "segment_broken": "The stored data of execution {execution} is damaged ({reason}).",
    "database_damaged": "The database is damaged ({reason}). Stop FlowFuse and run: flowfuse restore latest",
    "migration_failed": "{reason}",
    "circuit_open": "Too many calls have failed, so none is made before {at}.",
    "disk_low": "The disk of the data folder has only {free} MB left, so nothing new is accepted. Make room.",
    "backup_invalid": "The backup {path}: {reason}",
    "internal": "Something went wrong inside FlowFuse. The server's log has the details.",
}


class FlowFuseError(Exception):
    """Root of all errors that FlowFuse raises on purpose."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, **parameters: Any) -> None:
        super().__init__()
        self.parameters = parameters

    @property
    def message(self) -> str:
        """The sentence for people, made of the code's text and this error's parameters."""
        return SENTENCES[self.code].format_map(self.parameters)

    def __str__(self) -> str:
        return self.message


class Invalid(FlowFuseError):
    """What was given cannot be accepted as it is."""


class WorkflowInvalid(Invalid):
    """A document has problems. `problems` holds all of them."""

    code = "workflow_invalid"

    def __init__(self, problems: Any) -> None:
        self.problems = list(problems)
        first = self.problems[0]
        super().__init__(count=len(self.problems), first=f"{first.path}: {first.message}")


class ParamsInvalid(Invalid):
    """A field of a node's config does not fit the type's Params."""

    code = "params_invalid"


class ExpressionInvalid(Invalid):
    """An expression that cannot be compiled. `offset` counts characters in the expression's text."""

    code = "expression_invalid"

    def __init__(self, reason: str, *, offset: int = 0, kind: str = "expression_syntax") -> None:
        super().__init__(reason=reason)
        self.offset = offset
        self.kind = kind


class RequestInvalid(Invalid):
    """A request's field, header or body is not what the route takes."""

    code = "request_invalid"


class ConfigInvalid(Invalid):
    """A setting of the process (flag, environment, flowfuse.toml) cannot be used."""

    code = "config_invalid"


class ScheduleInvalid(Invalid):
    """A schedule is none, or is never due; `field` names what is wrong with it."""

    code = "schedule_invalid"


class TooLarge(Invalid):
    """A body or value is over its limit."""

    code = "too_large"


class ConditionMissing(Invalid):
    """A change that replaces something has to name the state that it replaces."""

    code = "condition_missing"


class MethodNotTaken(Invalid):
    """The address is there, and is not called by this method."""

    code = "method_not_allowed"


class NotFound(FlowFuseError):
    """The named thing does not exist in this workspace."""

    code = "not_found"


class Denied(FlowFuseError):
    """The caller may not do this."""

    code = "denied"


class SignInNeeded(FlowFuseError):
    """The caller is not known: no session, no token."""

    code = "sign_in_needed"


class WrongPassword(FlowFuseError):
    """E-mail, password or the code of the second factor is wrong; which of them is not said."""

    code = "wrong_password"


class CodeSpent(FlowFuseError):
    """The setup code works no more."""

    code = "code_spent"


class CallDenied(FlowFuseError):
    """A webhook's caller is not who may call. `challenge` is what WWW-Authenticate says, or empty."""

    code = "call_denied"


class Conflict(FlowFuseError):
    """The change contradicts what is there now."""

    code = "conflict"


class StaleVersion(Conflict):
    """`If-Match` named a state of the draft that is not the current one."""

    code = "stale_version"


class MissingType(Conflict):
    """A content that was accepted once names a node type or version that is not there any more."""

    code = "missing_type"


class Duplicate(Conflict):
    """A delivery id was accepted before. `execution` is the first run's id, as 16 bytes."""

    code = "duplicate"


class IllegalTransition(Conflict):
    """The state machine has no such arrow; nothing was changed."""

    code = "illegal_transition"


class Unavailable(FlowFuseError):
    """Not now; later, without a change by the caller, it may work."""

    retry_after: float = 5.0


class TooManyAttempts(Unavailable):
    """Too many wrong tries within a quarter of an hour; `seconds` says how long to wait."""

    code = "too_many_attempts"

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.retry_after = float(parameters["seconds"])


class QueueFull(Unavailable):
    """Too many executions wait already."""

    code = "queue_full"


class VaultLocked(Unavailable):
    """No master key, or not the one that sealed the stored credentials."""

    code = "vault_locked"


class Draining(Unavailable):
    """The server got SIGTERM and takes no new work."""

    code = "draining"


class CircuitOpen(Unavailable):
    """The workspace's breaker is open: what needs calls has to wait."""

    code = "circuit_open"

    def __init__(self, *, retry_after: float, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.retry_after = max(1.0, retry_after)


class DiskLow(Unavailable):
    """The disk is nearly full; what runs may end, nothing new is accepted."""

    code = "disk_low"


class DatabaseUnavailable(Unavailable):
    """A commit failed (disk full, I/O error, lock held too long); nothing of it was kept."""

    code = "database_unavailable"


class ServerLost(Unavailable):
    """The server that holds the data folder does not answer."""

    code = "server_lost"


class Refused(Unavailable):
    """The server that holds the data folder cannot do it now, and says why."""

    code = "refused"


class FileNotKept(Unavailable):
    """The disk did not take a file (full, read-only, broken); nothing of it was kept."""

    code = "file_not_kept"


class HookLocked(Unavailable):
    """A webhook's credential is missing or of the wrong kind, so nobody can be let in."""

    code = "hook_locked"


class NodeFailed(FlowFuseError):
    """A node's attempt ended in an error. Recorded on the run; the executor asks only `.retryable`."""

    code = "stopped"

    def __init__(self, *, hint: str = "", **parameters: Any) -> None:
        super().__init__(**parameters)
        self.hint = hint
        self.retry_after: float | None = None
        self.printed = ""


class ExpressionFailed(NodeFailed):
    """An expression could not be evaluated on the values at hand."""

    code = "expression_failed"


class LoopLimit(NodeFailed):
    """A while loop reached `max_rounds`."""

    code = "loop_limit"


class RemoteError(NodeFailed):
    """A peer answered with a status that the node does not accept."""

    code = "remote_error"

    @property
    def retryable(self) -> bool:  # type: ignore[override]
        status = int(self.parameters["status"])
        return status in (408, 425, 429) or status >= 500


class NodeTimeout(NodeFailed):
    """An attempt took longer than the node's timeout."""

    code = "node_timeout"
    retryable = True


class ConnectionLost(NodeFailed):
    """No connection, or one that broke before the whole answer had come."""

    code = "connection_lost"
    retryable = True


class AddressDenied(NodeFailed):
    """The outgoing-address guard refused the host."""

    code = "address_denied"


class PathDenied(NodeFailed):
    """The folder guard refused a path of this machine."""

    code = "path_denied"


class CallFailed(NodeFailed):
    """A workflow that a node runs could not be started, or did not complete."""

    code = "call_failed"
    retryable = True


class WaitExpired(NodeFailed):
    """A call or a decision that a node waited for did not come in time."""

    code = "wait_expired"


class OutputInvalid(NodeFailed):
    """A node gave something that is not a JSON value."""

    code = "output_invalid"


class OutputMismatch(OutputInvalid):
    """A node gave a JSON value that does not fit its type's output schema."""

    code = "output_mismatch"


class NodeStopped(NodeFailed):
    """`action.fail`, or another stop that the document asked for; `custom` replaces the code."""

    code = "stopped"


class CodeError(NodeFailed):
    """A user's code ended in an error. `line`, `column` and `excerpt` say where in its source."""

    code = "code_error"


class Interrupted(NodeFailed):
    """An effect was under way when the process died, and `on_interrupted` says `fail`."""

    code = "interrupted"


class UnknownFault(NodeFailed):
    """A defect in a node's code; the log has the traceback, the run only this sentence."""

    code = "internal"


class Corrupt(FlowFuseError):
    """Stored data is damaged."""


class SealBroken(Corrupt):
    """A sealed value does not open: wrong key, wrong place, or changed bytes."""

    code = "seal_broken"


class SegmentBroken(Corrupt):
    """A stored segment's checksum or shape is wrong."""

    code = "segment_broken"


class DatabaseDamaged(Corrupt):
    """A page of the database cannot be read."""

    code = "database_damaged"


class BackupInvalid(Corrupt):
    """A backup cannot be made, or is none that can be brought back."""

    code = "backup_invalid"


class MigrationFailed(Corrupt):
    """The database's schema cannot be brought to this version."""

    code = "migration_failed"


class Halt(BaseException):
    """Thrown into a running node by cancel and shutdown."""
