"""Settled time: what is known to be settled, and what has to be waited for."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from configsvc_server.db.database import Database
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.services.settled_time import SettledTime


@pytest.fixture
def settled(database: Database) -> SettledTime:
    return SettledTime(database)


def test_the_past_is_settled(settled: SettledTime) -> None:
    timestamp = datetime.now(UTC)

    assert settled.reach(timestamp) >= timestamp


def test_the_future_is_not(settled: SettledTime) -> None:
    timestamp = datetime.now(UTC) + timedelta(hours=1)

    assert settled.reach(timestamp) < timestamp


def test_what_a_writer_may_still_add_to_is_waited_for(database_url: str) -> None:
    with Database(database_url, timeout=0.3) as hasty, psycopg.connect(database_url) as writer:
        hasty.open()
        settled = SettledTime(hasty)
        before = datetime.now(UTC)
        settled.reach(before)
        writer.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")

        assert settled.reach(before) >= before
        with pytest.raises(UnavailableError):
            settled.reach(datetime.now(UTC))

        writer.rollback()
        assert settled.reach(datetime.now(UTC)) > before
