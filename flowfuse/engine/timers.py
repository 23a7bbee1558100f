"""Timers: a run's running time with its limit, and the timers of what it waits for in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from flowfuse.clock import Clock
from flowfuse.engine.run import FLUSH_SECONDS, Run
from flowfuse.engine.walker import Walker
from flowfuse.model import State, seconds


class Timers:
    """Starts and stops the timers of runs in memory; none outlives its run's leaving."""

    def __init__(self, clock: Clock, walker: Walker) -> None:
        self._clock, self._walker = clock, walker

    def start(self, run: Run) -> None:
        """Running time begins. The workflow's timeout covers it: not the queue, a pause or a wait."""
        if run.since is None:
            run.since = self._clock.now_us()
        limit = run.plan.workflow.settings.timeout
        if limit is not None and run.workflow_timer is None:
            length = seconds(limit)
            over = run.since + int(length * 1e6) - run.ran_us
            run.workflow_timer = self._clock.call_at(over, partial(self._timed_out, run, length))
        for loop in run.loops.values():
            if loop.timer is None:
                self._walker.loops.set_timer(loop)

    def stop(self, run: Run) -> None:
        """Running time ends here: a wait, a pause."""
        run.ran_us = run.ran()
        run.since = None
        self.cancel(run)

    def cancel(self, run: Run) -> None:
        """The run leaves the memory, or stands still."""
        for timer in (run.timer, run.workflow_timer, run.gathering):
            if timer is not None:
                timer.cancel()
        run.timer = run.workflow_timer = run.gathering = None
        for repeat in run.retries.values():
            repeat.cancel()
        for loop in run.loops.values():
            if loop.timer is not None:
                loop.timer.cancel()
                loop.timer = None

    def arm_wake(self, run: Run) -> None:
        """Some branches wait while others run: the run stays in memory, with one timer."""
        times = [each.until_us for each in run.waits.values() if each.until_us]
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if times:
            run.timer = self._clock.call_at(min(times), partial(self._wake, run))

    def gather(self, run: Run, flush: Callable[[Run], None]) -> None:
        """Commit what the run has recorded when the oldest of it has waited long enough."""
        if run.gathering is None:
            waited = self._clock.perf() - run.oldest if run.oldest else 0.0
            left = max(0.0, FLUSH_SECONDS - waited)
            run.gathering = asyncio.get_running_loop().call_later(left, flush, run)

    def _wake(self, run: Run) -> None:
        run.timer = None
        if run.state is State.running and not run.draining and not run.broken and run.waiting is None:
            self._walker.wake(run)

    def _timed_out(self, run: Run, limit: float) -> None:
        if run.state is State.running and not run.broken:
            self._walker.time_out(run, limit)
