"""Serve FlowFuse with the benchmark's workflows: `python bench/serve.py --port P --data D`.

On an empty folder it publishes them at /hook/w1 … /hook/w5 and /hook/crash, on a used one it starts as
things stand. Calls to 127.0.0.0/8 are allowed, and one route is added for scale: /bench/echo, an
ordinary handler that decodes and encodes JSON in the same process with the same logging.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from litestar import post

from flowfuse.commands.serve import serve_config
from flowfuse.config import load

FLOWS = Path(__file__).parent / "flows"


@post("/bench/echo", status_code=200, opt={"public": True})
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    """What came, decoded and encoded again."""
    return data


def main() -> int:
    """Publish on an empty folder, then serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8420)
    parser.add_argument("--data", required=True)
    options = parser.parse_args()
    network = {"allow": ["127.0.0.0/8"]}
    config = load({"data": options.data, "port": options.port, "network": network, "demos": False})
    if not (config.data / "flowfuse.db").exists():
        from publish import publish_all

        asyncio.run(publish_all(config, sorted(FLOWS.glob("*.yaml"))))
    return serve_config(config, echo)


if __name__ == "__main__":
    sys.exit(main())
