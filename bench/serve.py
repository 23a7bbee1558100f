"""Serve FlowFuse with the benchmark's workflows: `python bench/serve.py --port P --data D`.

On an empty folder it publishes them at /hook/w1 … /hook/w5 and /hook/crash (with --tick also a schedule
that calls a peer each second), on a used one it starts as things stand. Calls to 127.0.0.0/8 are allowed,
and one route is added for scale: /bench/echo, an ordinary handler that decodes and encodes JSON in the
same process with the same logging.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from flowfuse.commands.serve import serve_config
from flowfuse.config import load

FLOWS = Path(__file__).parent / "flows"
TICK = """
id: tick
nodes:
  - {{id: clock, type: trigger.schedule, config: {{every: 1}}}}
  - id: call
    type: action.http_request
    config: {{url: "http://127.0.0.1:18999/tick", query: {{who: {name}, due: "{{{{ trigger.due }}}}"}}}}
edges: [{{from: clock, to: call}}]
"""


def more_routes() -> list[Any]:
    """/bench/echo. The framework is imported when its site is built, as the product does it."""
    from litestar import post

    @post("/bench/echo", status_code=200, opt={"public": True})
    async def echo(data: dict[str, Any]) -> dict[str, Any]:
        """What came, decoded and encoded again."""
        return data

    return [echo]


def main() -> int:
    """Publish on an empty folder, then serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8420)
    parser.add_argument("--data", required=True)
    parser.add_argument(
        "--tick", nargs="?", const="ours", metavar="NAME",
        help="also a schedule each second that calls /tick?who=NAME at 127.0.0.1:18999",
    )  # fmt: skip
    options = parser.parse_args()
    network = {"allow": ["127.0.0.0/8"]}
    config = load({"data": options.data, "port": options.port, "network": network, "demos": False})
    if not (config.data / "flowfuse.db").exists():
        from publish import publish_all

        texts = [file.read_text() for file in sorted(FLOWS.glob("*.yaml"))]
        if options.tick:
            texts.append(TICK.format(name=options.tick))
        asyncio.run(publish_all(config, texts))
    return serve_config(config, more_routes)


if __name__ == "__main__":
    sys.exit(main())
