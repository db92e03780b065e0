"""Following changes over a real server, which has followers wait."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from configsvc_client import ConfigClient, Configuration, ServerError
from tests.client.stub import eventually
from tests.support.servers import RunningServer


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_who_waits_is_told_of_a_change_when_it_happens(
    client: ConfigClient, database_configuration: Configuration, pool: ThreadPoolExecutor
) -> None:
    with client.changes.follow(application="billing") as feed:
        following = pool.submit(next, feed)
        changed = client.configurations.update(
            database_configuration, config={"pool_size": 20}, message="more load"
        )
        change = following.result(20)
        assert (change.version, change.message) == (changed.version, "more load")


def test_a_feed_waits_and_closes_promptly(
    client: ConfigClient, database_configuration: Configuration, pool: ThreadPoolExecutor
) -> None:
    feed = client.changes.follow(from_start=True, configuration=database_configuration)
    assert next(feed).action == "create"
    following = pool.submit(list, feed)
    # Each of these would wake it, if it waited for other things than its own.
    for number in range(10):
        client.applications.create(name=f"other{number}")
    assert not following.done()
    feed.close()
    assert following.result(10) == []


def test_a_feed_is_told_that_the_server_is_away(
    live_server: RunningServer,
    client: ConfigClient,
    database_configuration: Configuration,
    pool: ThreadPoolExecutor,
) -> None:
    feed = client.changes.follow()
    following = pool.submit(list, feed)
    live_server.stop()
    eventually(lambda: feed.error)
    assert not isinstance(feed.error, ServerError)
    feed.close()
    assert following.result(10) == []
