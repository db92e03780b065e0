"""Clock of the database: the best comparison counts."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from configsvc_server.db.clock import DatabaseClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_quickest_answer_counts() -> None:
    clock = DatabaseClock(samples=6)
    clock.compare(9.0, 11.0, NOON)
    clock.compare(20.0, 20.1, NOON + timedelta(hours=1))

    assert clock.at(20.05) == NOON + timedelta(hours=1)


def test_a_clock_that_was_set_is_believed_in_the_end() -> None:
    clock = DatabaseClock(samples=6)
    clock.compare(10.0, 10.0, NOON)
    for _ in range(6):
        clock.compare(9.0, 11.0, NOON + timedelta(days=1))

    assert clock.at(10.0) == NOON + timedelta(days=1)


def test_another_database_has_another_clock() -> None:
    clock = DatabaseClock(samples=6)
    clock.compare(10.0, 10.0, NOON)
    clock.forget()
    clock.compare(9.0, 11.0, NOON + timedelta(days=1))

    assert clock.at(10.0) == NOON + timedelta(days=1)


def test_time_passes_by_the_clock_of_the_database() -> None:
    clock = DatabaseClock(samples=6)
    now = time.monotonic()
    clock.compare(now, now, NOON)

    assert clock.since(NOON.timestamp() - 60) == pytest.approx(60, abs=30)
    assert clock.since(1e12) == 0
