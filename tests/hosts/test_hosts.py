"""Every host: its workers follow a change, and it stops promptly and leaves nothing behind.

What is measured goes into the table of ``--hosts-table FILE``. The tests themselves are content
with what a busy machine manages.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.hosts.running import Host, Place, Running
from tests.hosts.table import HOSTS, why_not
from tests.support.waiting import until

Publish = Callable[[int], None]
Record = Callable[[str, object], None]

PATIENCE = 20.0
"""Seconds that a change may take to arrive, and a host to stop."""

each_host = pytest.mark.parametrize("host", HOSTS, ids=str)


@pytest.fixture
def running(
    host: Host, place: Place, configured: Publish, record_property: Record
) -> Iterator[Running]:
    """The host, started, with an application that has used its view already."""
    record_property("host", str(host))
    if reason := why_not(host):
        pytest.skip(reason)
    with host.start(place) as running:
        yield running


@each_host
def test_every_worker_follows_a_change(
    host: Host, running: Running, configured: Publish, record_property: Record
) -> None:
    workers = read_by_all(running, 10, workers=host.workers)
    configured(20)
    started = time.monotonic()
    assert read_by_all(running, 20, workers=host.workers) == workers, running.output
    record_property("follows", time.monotonic() - started)


@each_host
def test_it_stops_promptly_and_leaves_nothing(
    host: Host,
    running: Running,
    record_property: Record,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> None:
    seconds = stop(host, running)
    record_property("stops", seconds)
    assert seconds < PATIENCE, running.output
    assert not running.trouble(host.expected), running.output
    # What multiprocessing has besides ends a moment after the last process that uses it.
    until(lambda: not running.processes(), seconds=PATIENCE)
    if pytestconfig.getoption("hosts_table", default=None):
        with host.start(Place(tmp_path_factory.mktemp("alone"), url=None)) as alone:
            record_property("alone", stop(host, alone))


def stop(host: Host, running: Running) -> float:
    """Stop a host when all workers have answered, and return the seconds that it took."""
    read_by_all(running, 10, workers=host.workers)
    started = time.monotonic()
    running.stop()
    return time.monotonic() - started


def read_by_all(running: Running, size: int, *, workers: int) -> set[int]:
    """Ask until every worker has answered with ``size``, and return their process ids."""
    deadline = time.monotonic() + PATIENCE
    newest: dict[int, tuple[int, int]] = {}
    while len(newest) < workers or set(newest.values()) != {(size, size)}:
        newest |= {answer.pid: (answer.value, answer.bound) for answer in running.ask()}
        assert time.monotonic() < deadline, f"{newest} instead of {size} in {workers}"
    return set(newest)
