"""Lanes: where a request goes when the threads of its lane are stuck."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from configsvc_server.serving.lanes import Lane, Lanes
from tests.support.waiting import until


class Job:
    """Work that lasts until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()

    def service(self) -> None:
        self.begun.set()
        self.released.wait(60)


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    lanes = Lanes(threads=1)
    yield lanes
    lanes.stop(deadline=0)


def waiting_request() -> SimpleNamespace:
    return SimpleNamespace(
        error=None, path="/changes", buffered=0, command="GET", headers={"PREFER": "wait=30"}
    )


def test_those_who_may_wait_go_to_reads_while_their_own_threads_are_stuck(lanes: Lanes) -> None:
    own = lanes.choose(waiting_request())
    assert own is not None
    jobs = [Job() for _ in range(Lanes.WAIT_THREADS + 1)]
    for job in jobs:
        own.submit("peer", job)

    other = until(lambda: _another(lanes, own))

    last = Job()
    other.submit("peer", last)
    assert last.begun.wait(30)
    last.released.set()
    for job in jobs:
        job.released.set()
    assert jobs[-1].begun.wait(30)
    assert lanes.choose(waiting_request()) is own


def _another(lanes: Lanes, own: Lane) -> Lane | None:
    found = lanes.choose(waiting_request())
    return None if found is own else found
