"""Renews web/package-lock.json, without an address in it. Called by `make lock`."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import hatch_build  # noqa: E402 the repository's top is not on the path before the line above


def main() -> None:
    """Let npm resolve, then drop what npm records besides names, versions and hashes."""
    web = ROOT / "web"
    hatch_build.run_npm(web, "update", "--package-lock-only", "--ignore-scripts")
    lock = web / "package-lock.json"
    content = json.loads(lock.read_text())
    for package in content["packages"].values():
        package.pop("funding", None)
        package.pop("resolved", None)
    lock.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
