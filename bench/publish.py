"""Put workflow files into a data folder and publish them, without a server."""

from __future__ import annotations

from collections.abc import Iterable

from flowfuse import document
from flowfuse.commands.reading import opened
from flowfuse.config import Config
from flowfuse.data.folder import DataFolder
from flowfuse.model import WORKSPACE


async def publish_all(config: Config, texts: Iterable[str]) -> None:
    """Import and publish each document."""
    async with opened(config, DataFolder(config.data)) as engine:
        for text in texts:
            draft = await engine.drafts.create(WORKSPACE, document.read(text, yaml=True))
            await engine.drafts.publish(WORKSPACE, draft.summary.id)
