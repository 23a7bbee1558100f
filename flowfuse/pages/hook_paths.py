"""Paths of webhooks: as patterns, and those of drafts in memory, so that guessing at them costs nothing."""

from __future__ import annotations

import asyncio
import re

from flowfuse.data.workflows import Hook, WorkflowRepository
from flowfuse.events import EventBus, WorkflowChanged


class DraftHooks:
    """The webhooks of all drafts by path; read anew when one is asked for behind a change."""

    def __init__(self, workflows: WorkflowRepository, bus: EventBus) -> None:
        self._workflows = workflows
        self._exact: dict[str, Hook] = {}
        self._patterns: list[tuple[re.Pattern[str], Hook]] = []
        self._reading = asyncio.Lock()
        self._changes, self._read_at = 1, 0
        bus.listen(WorkflowChanged, self._changed)

    def _changed(self, event: WorkflowChanged) -> None:
        self._changes += 1

    async def find(self, path: str) -> tuple[Hook, dict[str, str]] | None:
        """The draft's webhook at a path, and the values of its `{names}`; of several the last changed."""
        if self._read_at != self._changes:
            await self._read()
        hook = self._exact.get(path)
        if hook is not None:
            return hook, {}
        for pattern, hook in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return hook, found.groupdict()
        return None

    async def _read(self) -> None:
        async with self._reading:
            while self._read_at != self._changes:
                changes = self._changes
                hooks = await self._workflows.draft_hooks()
                self._exact = {hook.path: hook for hook in reversed(hooks) if "{" not in hook.path}
                self._patterns = [(path_pattern(hook.path), hook) for hook in hooks if "{" in hook.path]
                self._read_at = changes


def path_pattern(path: str) -> re.Pattern[str]:
    """A path with `{names}` as a pattern; a name takes one part, and where it comes again the same."""
    parts = re.split(r"\{([A-Za-z_]\w*)\}", path, flags=re.ASCII)
    text = ""
    for place, part in enumerate(parts):
        if place % 2 == 0:
            text += re.escape(part)
        else:
            text += f"(?P={part})" if part in parts[1:place:2] else f"(?P<{part}>[^/]+)"
    return re.compile(text)
