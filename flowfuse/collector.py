"""The cyclic garbage collector, kept from going through what cannot be garbage.

Left alone it walks again and again through all that the program is made of: about a sixth of the time
of a server under load, in stops of 0.1 s.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

UNFREEZE_EVERY = 64
THRESHOLDS = 10_000, 20, 20
"""New objects before a look at the youngest, and how many such looks before one at the older ones."""


class _Collector:
    def __init__(self) -> None:
        self._holders = 0
        self._frozen = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Off while much is made inside; what is there at the end is not looked at again.

        JSON has no cycles that the collector could find, and of a program that starts nearly all stays.
        """
        self._holders += 1
        gc.disable()
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._freeze()
                gc.enable()

    def let_go(self) -> None:
        """What stood is not used any more."""
        gc.unfreeze()
        gc.collect()

    def settle(self) -> None:
        """A server stands: what it is made of stays, and what comes and goes is many small runs."""
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)

    def _freeze(self) -> None:
        self._frozen += 1
        if self._frozen % UNFREEZE_EVERY == 0:
            gc.unfreeze()  # once in a while cycles among what was frozen are found after all
            return
        gc.freeze()


collector = _Collector()
