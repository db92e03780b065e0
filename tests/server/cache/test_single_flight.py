"""Single-flight cache: when values are kept, shared and evicted."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from configsvc_server.cache.single_flight import SingleFlightCache
from configsvc_server.db.listener import Heartbeat


class Source:
    """Something to read from, which counts and can be made to wait."""

    def __init__(self) -> None:
        self.reads = 0
        self.value = b"old"
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def read(self) -> bytes:
        self.reads += 1
        value = self.value
        self.entered.set()
        assert self.gate.wait(10)
        return value


@pytest.fixture
def source() -> Source:
    return Source()


def make(*, max_size: int = 100, is_listening: bool = True) -> SingleFlightCache[str, bytes]:
    heartbeat = Heartbeat()
    if is_listening:
        heartbeat.arrived()
    return SingleFlightCache(max_size=max_size, size_of=len, heartbeat=heartbeat)


def test_an_answer_is_read_once(source: Source) -> None:
    cache = make()

    assert [cache.get("k", source.read) for _ in range(3)] == [b"old"] * 3
    assert source.reads == 1


def test_what_is_evicted_is_read_again(source: Source) -> None:
    cache = make()
    cache.get("k", source.read)
    source.value = b"new"

    cache.evict("k")

    assert cache.get("k", source.read) == b"new"


def test_a_read_that_a_change_overtook_is_not_kept(source: Source) -> None:
    cache = make()
    source.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.get, "k", source.read)
        assert source.entered.wait(10)
        source.value = b"new"
        cache.evict("k")
        source.gate.set()
        assert slow.result() == b"new"

    assert cache.get("k", source.read) == b"new"
    assert source.reads == 2


def test_one_who_comes_after_a_change_does_not_share_an_older_read(source: Source) -> None:
    cache = make()
    source.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(cache.get, "k", source.read)
        assert source.entered.wait(10)
        source.value = b"new"
        cache.clear()
        source.entered.clear()
        later = pool.submit(cache.get, "k", source.read)
        assert source.entered.wait(10)
        source.gate.set()

        assert (slow.result(), later.result()) == (b"new", b"new")


def test_those_who_ask_together_read_once(source: Source) -> None:
    cache = make()
    source.gate.clear()
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(cache.get, "k", source.read)
        assert source.entered.wait(10)
        others = [pool.submit(cache.get, "k", source.read) for _ in range(9)]
        source.gate.set()
        assert {future.result() for future in [first, *others]} == {b"old"}

    assert source.reads == 1


def test_a_failure_is_not_shared(source: Source) -> None:
    cache = make()
    entered, gate = threading.Event(), threading.Event()

    def fail() -> bytes:
        entered.set()
        gate.wait(10)
        raise ValueError

    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(cache.get, "k", fail)
        assert entered.wait(10)
        other = pool.submit(cache.get, "k", source.read)
        gate.set()

        assert isinstance(failing.exception(), ValueError)
        assert other.result() == b"old"


def test_while_nothing_is_heard_of_changes_everything_is_read_anew(source: Source) -> None:
    cache = make(is_listening=False)

    cache.get("k", source.read)
    cache.get("k", source.read)

    assert source.reads == 2
    assert len(cache) == 0


def test_the_least_recently_used_makes_room(source: Source) -> None:
    cache = make(max_size=9)
    for key in ("a", "b", "a", "c", "a", "d"):
        cache.get(key, source.read)
    assert source.reads == 4

    cache.get("a", source.read)
    assert source.reads == 4
    cache.get("b", source.read)
    assert source.reads == 5


@pytest.mark.parametrize("max_size", [0, 2])
def test_what_is_too_large_is_not_kept(source: Source, max_size: int) -> None:
    cache = make(max_size=max_size)

    assert cache.get("k", source.read) == b"old"
    assert len(cache) == 0
