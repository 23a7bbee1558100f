"""Attempts: limits that hold within their window, and are over with it."""

from __future__ import annotations

import pytest

from flowfuse.data.attempts import KEPT, WINDOW_US, Attempts
from flowfuse.errors import TooManyAttempts, WrongPassword


class Moved:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_790_000_000_000_000

        self.slept: list[float] = []

    def now_us(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Moved:
    return Moved()


def test_the_limit_holds_until_the_oldest_try_is_out_of_the_window(clock: Moved) -> None:
    attempts = Attempts(clock)  # type: ignore[arg-type]
    for _ in range(5):
        attempts.check(("ada", 5))
        attempts.fail("ada")
        clock.now += 60_000_000
    with pytest.raises(TooManyAttempts) as refused:
        attempts.check(("ada", 5))
    wait = refused.value.parameters["seconds"]
    assert wait == 600
    clock.now += wait * 1_000_000 - 1
    with pytest.raises(TooManyAttempts):
        attempts.check(("ada", 5))
    clock.now += 1
    attempts.check(("ada", 5))
    assert attempts.left("ada", 5) == 1


def test_one_name_says_nothing_of_another_and_success_begins_anew(clock: Moved) -> None:
    attempts = Attempts(clock)  # type: ignore[arg-type]
    for _ in range(5):
        attempts.fail("ada", "address")
    attempts.check(("bo", 5), ("address", 20))
    attempts.forget("ada")
    attempts.check(("ada", 5))


def test_what_is_remembered_is_bounded(clock: Moved) -> None:
    attempts = Attempts(clock)  # type: ignore[arg-type]
    for number in range(KEPT + 50):
        attempts.fail(f"address {number}")
    assert len(attempts._failed) == KEPT
    clock.now += WINDOW_US
    assert attempts.left(f"address {KEPT}", 5) == 5


async def test_a_wrong_try_is_answered_after_a_pause_that_doubles(clock: Moved) -> None:
    attempts = Attempts(clock)  # type: ignore[arg-type]

    async def wrong(account: str) -> None:
        with pytest.raises(WrongPassword):
            async with attempts.one((account, 7), ("address", 20)):
                raise WrongPassword(reason="no")

    for _ in range(7):
        await wrong("ada")
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    await wrong("bo")
    assert clock.slept[-1] == 0.1
    with pytest.raises(TooManyAttempts):
        await wrong("ada")
    attempts.forget("ada")
    async with attempts.one(("ada", 7)):
        pass
    assert len(clock.slept) == 8
