"""Where web/ and migrations/ lie: in a checkout, in an installed wheel, in a frozen binary.

The three differ in one thing only, the folder that stands in for the repository's top:

  checkout   the folder above the package
  wheel      flowfuse/_data, filled by hatch_build.py
  binary     the folder into which the bundle was unpacked
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

Asset = Literal["web", "migrations"]


def asset_root(name: Asset) -> Path:
    """The folder that holds these files of ours, whichever way FlowFuse was installed."""
    return _top() / name


def _top() -> Path:
    bundle: str | None = getattr(sys, "_MEIPASS", None)  # set by PyInstaller's start-up code
    if bundle is not None:
        return Path(bundle)
    package = Path(__file__).resolve().parent
    packaged = package / "_data"
    return packaged if packaged.is_dir() else package.parent
