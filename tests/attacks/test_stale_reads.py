"""A slow read: nobody gets an older value than another got before."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from configsvc_server.cache.single_flight import SingleFlightCache
from configsvc_server.db.listener import Heartbeat

SAFETY = 10.0


class Database:
    """A version that grows, and reads of it that can be held after they have seen it."""

    def __init__(self) -> None:
        self.version = 1
        self.held: dict[str, threading.Event] = {}
        self.seen: dict[str, threading.Event] = {}
        self.reads = 0

    def hold(self, reader: str) -> None:
        self.held[reader] = threading.Event()
        self.seen[reader] = threading.Event()

    def read(self, reader: str) -> int:
        self.reads += 1
        version = self.version
        if reader in self.held:
            self.seen[reader].set()
            assert self.held[reader].wait(SAFETY)
        return version


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def heartbeat() -> Heartbeat:
    heartbeat = Heartbeat()
    heartbeat.arrived()
    return heartbeat


@pytest.fixture
def cache(heartbeat: Heartbeat) -> SingleFlightCache[str, int]:
    return SingleFlightCache(max_size=100, size_of=lambda _: 1, heartbeat=heartbeat)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_a_read_that_was_overtaken_by_a_change_is_not_given_out(
    database: Database, cache: SingleFlightCache[str, int], pool: ThreadPoolExecutor
) -> None:
    database.hold("slow")
    slow = pool.submit(cache.get, "k", lambda: database.read("slow"))
    assert database.seen["slow"].wait(SAFETY)
    database.version = 2
    cache.evict("k")
    assert cache.get("k", lambda: database.read("quick")) == 2

    database.held["slow"].set()

    assert slow.result(SAFETY) == 2


def test_those_who_share_an_overtaken_read_get_the_new_version_too(
    database: Database, cache: SingleFlightCache[str, int], pool: ThreadPoolExecutor
) -> None:
    database.hold("slow")
    slow = pool.submit(cache.get, "k", lambda: database.read("slow"))
    assert database.seen["slow"].wait(SAFETY)
    sharing = [pool.submit(cache.get, "k", lambda: database.read("sharing")) for _ in range(5)]
    database.version = 2
    cache.clear()
    assert cache.get("k", lambda: database.read("quick")) == 2

    database.held["slow"].set()

    assert {future.result(SAFETY) for future in [slow, *sharing]} == {2}
    assert database.reads <= 3


def test_what_a_reader_without_cache_has_seen_is_what_others_get(
    database: Database, cache: SingleFlightCache[str, int], pool: ThreadPoolExecutor
) -> None:
    """The notification of the change may come later than the version can be read."""
    database.hold("slow")
    slow = pool.submit(cache.get, "k", lambda: database.read("slow"))
    assert database.seen["slow"].wait(SAFETY)
    database.version = 2

    assert cache.reload("k", lambda: database.read("without cache")) == 2
    assert cache.get("k", lambda: database.read("quick")) == 2
    database.held["slow"].set()

    assert slow.result(SAFETY) == 2


def test_reads_do_not_go_back_while_nothing_is_heard_of_changes(
    database: Database,
    cache: SingleFlightCache[str, int],
    heartbeat: Heartbeat,
    pool: ThreadPoolExecutor,
) -> None:
    heartbeat.stop()
    database.hold("slow")
    slow = pool.submit(cache.get, "k", lambda: database.read("slow"))
    assert database.seen["slow"].wait(SAFETY)
    database.version = 2
    assert cache.reload("k", lambda: database.read("quick")) == 2

    database.held["slow"].set()

    assert slow.result(SAFETY) == 2
    assert len(cache) == 0


def test_a_read_ends_however_often_it_is_overtaken(
    database: Database, cache: SingleFlightCache[str, int]
) -> None:
    def overtaken() -> int:
        version = database.read("any")
        database.version += 1
        cache.evict("k")
        return version

    assert cache.get("k", overtaken) == cache.ATTEMPTS + 1
    assert database.reads == cache.ATTEMPTS + 1


def test_one_who_comes_after_a_change_waits_for_a_read_that_is_carried_through(
    database: Database, cache: SingleFlightCache[str, int], pool: ThreadPoolExecutor
) -> None:
    """Two reads at a time could be given out in the wrong order."""
    database.hold("last")

    def overtaken() -> int:
        is_last = database.reads == cache.ATTEMPTS
        version = database.read("last" if is_last else "first ones")
        if not is_last:
            cache.evict("k")
        return version

    slow = pool.submit(cache.get, "k", overtaken)
    assert database.seen["last"].wait(SAFETY)
    database.version = 2
    cache.evict("k")
    later = pool.submit(cache.get, "k", lambda: database.read("later"))
    assert not later.done()
    database.held["last"].set()

    assert (slow.result(SAFETY), later.result(SAFETY)) == (1, 2)


def test_an_overtaken_failure_is_tried_again(
    database: Database, cache: SingleFlightCache[str, int]
) -> None:
    """What was missing may have been made meanwhile."""

    def load() -> int:
        if database.read("any") == 1:
            database.version = 2
            cache.evict("k")
            raise LookupError
        return 2

    assert cache.get("k", load) == 2
