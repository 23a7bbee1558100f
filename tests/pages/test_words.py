"""Times, durations and counts as people read them."""

import pytest

from flowfuse.pages import words

NOON = 1_795_435_200_000_000  # Mon 23 Nov 2026, 12:00 UTC
DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("micros", "said"),
    [
        (0, "0 ms"), (49, "0 ms"), (400, "0.4 ms"), (9_949, "9.9 ms"), (212_000, "212 ms"),
        (999_499, "999 ms"),
        (999_500, "1.0 s"), (1_400_000, "1.4 s"), (12_300_000, "12 s"), (59_600_000, "1 min"),
        (250_000_000, "4 min 10 s"), (7_500_000_000, "2 h 5 min"), (3 * DAY, "3 d"), (None, ""),
    ],
)  # fmt: skip
def test_durations_have_the_digits_that_matter(micros: int | None, said: str) -> None:
    assert words.took(micros) == said


@pytest.mark.parametrize(
    ("micros", "zone", "said"),
    [
        (NOON, "UTC", "12:00:00"),
        (NOON, "Europe/Berlin", "13:00:00"),
        (NOON - 3 * DAY, "UTC", "Fri 12:00"),
        (NOON - 30 * DAY, "UTC", "24 Oct"),
        (NOON - 400 * DAY, "UTC", "19 Oct 2025"),
        (None, "UTC", ""),
    ],
)
def test_instants_are_named_by_distance(micros: int | None, zone: str, said: str) -> None:
    assert words.when(micros, NOON, zone) == said


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../../etc/passwd", "\0", "/etc/localtime", "x" * 999])
def test_a_bad_zone_means_the_servers_own(zone: str) -> None:
    assert words.when(NOON, NOON, zone) == words.when(NOON, NOON)


def test_counts_carry_their_noun() -> None:
    assert words.count(1, "run") == "1 run"
    assert words.count(1284, "run") == "1,284 runs"
    assert words.count(1284) == "1,284"


def test_an_instant_is_the_time_of_day_to_the_millisecond() -> None:
    assert words.instant(NOON + 1_234, "UTC") == "12:00:00.001"
