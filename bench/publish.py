"""Put workflow files into a data folder and publish them, without a server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flowfuse import document
from flowfuse.commands.reading import opened
from flowfuse.config import Config
from flowfuse.data.folder import DataFolder
from flowfuse.model import WORKSPACE


async def publish_all(config: Config, files: Iterable[Path]) -> None:
    """Import and publish each file."""
    async with opened(config, DataFolder(config.data)) as engine:
        for file in files:
            draft = await engine.drafts.create(WORKSPACE, document.read(file.read_bytes(), yaml=True))
            await engine.drafts.publish(WORKSPACE, draft.summary.id)
