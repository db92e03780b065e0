"""Kills: servers and their PostgreSQL end at any moment, and nothing that was said is lost.

A smaller variant of ``benchmarks/chaos.py``, which does the same for minutes.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from benchmarks.ledger import Acknowledgement
from benchmarks.processes import ServerProcess, end_postgres, free_port, postmaster
from benchmarks.supervision import Killer, Supervisor
from benchmarks.verification import History, verify
from benchmarks.witnesses import Load

from tests.support.servers import RunningServer, command

TIMEOUT = 60.0
"""Seconds for everything that is awaited; only a failure takes that long."""


@pytest.fixture
def server(data_dir: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with a PostgreSQL of its own, for somebody who starts it again after kills."""
    port = free_port()
    flags = ["serve", "--data-dir", str(data_dir), "--port", str(port)]
    server = ServerProcess(command(*flags), tmp_path, name="server", port=port)
    with ExitStack() as stack:
        stack.callback(end_postgres, data_dir)
        stack.callback(server.stop, TIMEOUT)
        server.start()
        server.wait_until_ready(TIMEOUT)
        yield server


def small_load(url: str) -> Load:
    return Load([url], writers=3, readers=2, followers=2, pause=0.02)


def wait_for_writes(load: Load, count: int) -> None:
    """Wait until so many more writes are acknowledged."""
    goal = len(load.ledger.acknowledgements) + count
    deadline = time.monotonic() + TIMEOUT
    while len(load.ledger.acknowledgements) < goal:
        assert time.monotonic() < deadline, "no writes are acknowledged any more"
        time.sleep(0.02)


@pytest.mark.parametrize(("kind", "strikes"), [("server", 2), ("postmaster", 1), ("both", 1)])
def test_after_kills_all_comes_back_and_nothing_is_lost_halved_or_told_twice(
    server: ServerProcess, data_dir: Path, kind: str, strikes: int
) -> None:
    killer = Killer([server], data_dir, kinds=[kind], seed=3)
    load = small_load(server.url)
    with Supervisor([server]):
        for _ in range(strikes):
            wait_for_writes(load, 20)
            strike = killer.strike(timeout=TIMEOUT)
            assert strike.ready is not None, f"not back after {strike.kind}"
        wait_for_writes(load, 20)
        load.stop(timeout=TIMEOUT)
        history = History(load.ledger, server.url)

        assert verify(load.ledger, history, load.followers) == []

    assert server.stop(TIMEOUT) is not None
    assert postmaster(data_dir) is None


def test_the_verification_finds_what_is_lost_halved_or_told_twice(
    live_server: RunningServer,
) -> None:
    load = small_load(live_server.url)
    wait_for_writes(load, 20)
    load.stop(timeout=TIMEOUT)
    history = History(load.ledger, live_server.url)
    assert verify(load.ledger, history, load.followers) == []

    last = load.ledger.acknowledgements[-1]
    lost = Acknowledgement(last.configuration, last.version + 1, "lost", "", 0.0, 0.0)
    load.ledger.acknowledged(live_server.url, lost)
    halved = load.ledger.acknowledgements[0].configuration
    history.releases[halved] = [r for r in history.releases[halved] if r["environment"] == "prod"]
    load.followers[0].ids.append(load.followers[0].ids[-1])
    del load.followers[1].ids[3]
    found = "\n".join(verify(load.ledger, history, load.followers))

    assert f"version {last.version + 1} was acknowledged and is lost" in found
    assert f"{halved} has other releases in default than versions" in found
    assert "SDK follower 0 was told" in found
    assert "1 twice" in found
    assert "HTTP follower 0 was told" in found
    assert "1 missing [4]" in found
