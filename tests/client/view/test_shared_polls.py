"""Processes of one host that share their polls, over the stub."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import ConfigClient
from configsvc_client._view.shared_poller import SharedPoller
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, eventually, hang, serve, status

LEADING, FOLLOWING = "shared (leading)", "shared (following)"
BY_ITSELF = "shared (by itself)"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on files")


class Worker:
    """A process that follows a view; see shared_worker.py."""

    def __init__(self, url: str, folder: Path, level: str = "WARNING") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.client.view.shared_worker", url, str(folder), level],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tell(self, what: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def report(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.tell("report")
        return facts

    @property
    def value(self) -> Any:
        return self.report()["value"]

    @property
    def mode(self) -> Any:
        return self.report()["mode"]

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> str:
        """End it, and return what it logged."""
        self.process.kill()
        return self.process.communicate()[1]


Start = Callable[..., list[Worker]]


@pytest.fixture
def start(stub: StubServer, tmp_path: Path) -> Iterator[Start]:
    """Starts workers, which are ended after the test."""
    with ExitStack() as stack:

        def make(count: int, folder: Path = tmp_path / "cache", **options: Any) -> list[Worker]:
            workers = [Worker(stub.url, folder, **options) for _ in range(count)]
            for worker in workers:
                stack.callback(worker.end)
            for worker in workers:
                worker.report()
            return workers

        yield make


def split(workers: list[Worker]) -> tuple[Worker, list[Worker]]:
    """Return the one that leads, and the others, once all follow."""
    modes: list[str] = []

    def is_settled() -> bool:
        modes[:] = [worker.mode for worker in workers]
        return sorted(modes) == [FOLLOWING] * (len(workers) - 1) + [LEADING]

    eventually(is_settled)
    leader = workers[modes.index(LEADING)]
    return leader, [worker for worker in workers if worker is not leader]


def snapshot_requests(stub: StubServer) -> int:
    return sum(path.endswith("/snapshot") for _, path, _ in stub.requests)


def all_have(workers: list[Worker], value: int) -> bool:
    return all(worker.value == value for worker in workers)


def test_many_processes_poll_as_one(stub: StubServer, start: Start) -> None:
    workers = start(8)
    split(workers)
    # The first snapshot, and the long poll after it.
    eventually(lambda: snapshot_requests(stub) == 2)
    stub.publish(database={"pool_size": 20})
    eventually(lambda: all_have(workers, 20))
    assert snapshot_requests(stub) == 3


def test_followers_know_how_fresh_they_are(stub: StubServer, start: Start) -> None:
    _, followers = split(start(2))
    facts = followers[0].report()
    assert not facts["stale"]
    assert facts["age"] < 10
    assert facts["polls"] == 0


def test_followers_know_of_an_outage_and_of_its_end(stub: StubServer, start: Start) -> None:
    _, (follower,) = split(start(2))
    stub.answer(status(500))
    eventually(lambda: follower.report()["stale"])
    assert "500" in follower.report()["error"]
    assert follower.value == 10
    stub.answer(serve)
    eventually(lambda: not follower.report()["stale"])
    assert follower.report()["polls"] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_another_takes_over_when_the_leader_dies(
    stub: StubServer, start: Start, number: int
) -> None:
    leader, followers = split(start(3))
    leader.signal(number)
    leader.process.wait(10)
    split(followers)
    stub.publish(database={"pool_size": 20})
    eventually(lambda: all_have(followers, 20))


def test_another_takes_over_when_the_leader_is_closed(stub: StubServer, start: Start) -> None:
    leader, followers = split(start(3))
    assert leader.tell("close") == "closed"
    split(followers)


def test_others_poll_by_themselves_while_the_leader_hangs(stub: StubServer, start: Start) -> None:
    leader, followers = split(start(3))
    leader.signal(signal.SIGSTOP)
    try:
        stub.publish(database={"pool_size": 20})
        eventually(lambda: all_have(followers, 20))
        assert {worker.mode for worker in followers} == {BY_ITSELF}
    finally:
        leader.signal(signal.SIGCONT)
    split([leader, *followers])
    stub.publish(database={"pool_size": 30})
    eventually(lambda: all_have([leader, *followers], 30))


def test_a_leader_that_wakes_up_does_not_take_others_back(stub: StubServer, start: Start) -> None:
    leader, (follower,) = split(start(2))
    leader.signal(signal.SIGSTOP)
    stub.publish(database={"pool_size": 20})
    eventually(lambda: follower.value == 20)
    seen = []
    leader.signal(signal.SIGCONT)

    def is_settled() -> bool:
        facts = follower.report()
        seen.append(facts["value"])
        return bool(facts["mode"] == FOLLOWING)

    eventually(is_settled)
    assert set(seen) == {20}


def test_a_refresh_of_a_follower_asks_the_server(stub: StubServer, start: Start) -> None:
    _, (follower,) = split(start(2))
    # The long poll does not notice this one.
    stub.configurations, stub.version = {"database": {"pool_size": 20}}, 2
    assert follower.tell("refresh")
    assert follower.value == 20
    assert follower.report()["polls"] == 1


def test_a_child_without_hooks_does_not_keep_the_lock_of_its_dead_parent(
    stub: StubServer, start: Start
) -> None:
    leader, (follower,) = split(start(2))
    child = leader.tell("fork")
    try:
        leader.signal(signal.SIGKILL)
        eventually(lambda: follower.mode == LEADING)
    finally:
        os.kill(child, signal.SIGKILL)


# Python 3.12 warns of any fork with threads; that it does no harm is what is tested here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_follows_its_parent(stub: StubServer, tmp_path: Path) -> None:
    with ConfigClient(stub.url, cache_dir=tmp_path, share_polls=True) as client:
        app = client.application("billing")
        app.wait_until_ready()
        eventually(lambda: app.status().mode == LEADING)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            modes = {app["database"]["pool_size"] and app.status().mode}
            for _ in range(8):
                time.sleep(SharedPoller.TICK)
                modes.add(app.status().mode)
            client.close()
            os.write(writer, json.dumps(sorted(map(str, modes))).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert json.loads(os.read(reader, 1000)) == [FOLLOWING]
        os.close(reader)
        os.close(writer)
        # The end of the child has not taken the lock from its parent.
        assert not other_process_gets(tmp_path)
        eventually(lambda: app.status().mode == LEADING)


def other_process_gets(folder: Path) -> bool:
    (path,) = folder.glob("*.lock")
    code = (
        "import sys, pathlib; from configsvc_client._view.host_lock import HostLock;"
        "sys.exit(HostLock(pathlib.Path(sys.argv[1])).acquire())"
    )
    return bool(subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode)


def test_two_clients_of_a_process_share_too(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    clients = [make_client(stub.url, cache_dir=tmp_path, share_polls=True) for _ in range(2)]
    apps = [client.application("billing") for client in clients]
    for app in apps:
        app.wait_until_ready()
    eventually(lambda: sorted(str(a.status().mode) for a in apps) == [FOLLOWING, LEADING])
    leader, follower = sorted(apps, key=lambda app: str(app.status().mode), reverse=True)
    changes: list[tuple[str, ...]] = []
    follower.on_change(lambda change: changes.append(change.configurations))
    stub.publish(database={"pool_size": 20}, limits={"per_minute": 60})
    eventually(lambda: changes == [("database", "limits")])
    leader.close()
    eventually(lambda: follower.status().mode == LEADING)
    assert not other_process_gets(tmp_path)


def test_a_process_that_is_refused_lets_others_lead(
    stub: StubServer, start: Start, tmp_path: Path
) -> None:
    def check(handler: Any) -> None:
        # Not by serve, which would come here again.
        is_good = handler.headers["Authorization"] == "Bearer good"
        headers = {"ETag": '"1"', "Preference-Applied": handler.headers.get("Prefer", "")}
        handler.reply(304 if is_good else 401, headers=headers)

    leader, (follower,) = split(start(2))
    (tmp_path / "cache" / f"token-{leader.process.pid}").write_text("old")
    stub.answer(check)
    eventually(lambda: follower.mode == LEADING)
    eventually(lambda: not follower.report()["stale"])
    # Whom the server refuses gets what the others get.
    eventually(lambda: leader.mode == FOLLOWING and not leader.report()["stale"])


def test_followers_poll_by_themselves_where_the_copy_is_damaged(
    stub: StubServer, start: Start, tmp_path: Path
) -> None:
    leader, (follower,) = split(start(2))
    follower.signal(signal.SIGSTOP)
    stub.publish(database={"pool_size": 77777})
    eventually(lambda: leader.value == 77777)
    (path,) = (tmp_path / "cache").glob("*.snapshot")
    eventually(lambda: b"77777" in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"77777", b"99999"))
    follower.signal(signal.SIGCONT)
    eventually(lambda: follower.value != 10)
    assert follower.value == 77777
    assert follower.report()["polls"] > 0


def test_without_locks_each_polls_by_itself(
    stub: StubServer, make_client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "configsvc_client")
    (tmp_path / "cache").write_text("a file where the folder should be")
    client = make_client(stub.url, cache_dir=tmp_path / "cache", share_polls=True)
    app = client.application("billing")
    app.wait_until_ready()
    eventually(lambda: app.status().mode == BY_ITSELF)
    assert "No lock, so this process polls by itself" in caplog.text


def test_closing_is_prompt_while_the_server_hangs(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    stub.answer(hang)
    client = make_client(stub.url, cache_dir=tmp_path, share_polls=True)
    app = client.application("billing")
    app._runtime.wake()
    updater = app._runtime._updater
    assert isinstance(updater, SharedPoller)
    eventually(lambda: stub.polls)
    client.close()
    eventually(lambda: not updater._thread.is_alive(), 2)
    assert other_process_gets(tmp_path)
