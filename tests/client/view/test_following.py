"""Processes that follow another of their host, which the test plays."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import ConfigView, NotFoundError
from configsvc_client._values.snapshot_documents import read_snapshot
from configsvc_client._view.disk_cache import DiskCache
from configsvc_client._view.host_lock import HostLock
from configsvc_client._view.shared_poller import SharedPoller
from configsvc_client._view.shared_state import SharedState, StateFile
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, eventually

LEADING, FOLLOWING = "shared (leading)", "shared (following)"
BY_ITSELF = "shared (by itself)"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on files")


class ActedLeader:
    """The part of a leader, played by the test."""

    def __init__(self, url: str, folder: Path) -> None:
        self.disk = DiskCache(folder, url=url, application="billing", environment="default")
        self.lock = HostLock(self.disk.path.with_suffix(".lock"))
        assert self.lock.acquire()
        self.file = StateFile(self.disk.path.with_suffix(".state"))
        self.state = SharedState("acted", 0, None, 0.0, 0.0)

    def say(self, **facts: Any) -> None:
        self.state = self.state._replace(**facts)
        self.file.write(self.state)

    def save(self, stub: StubServer) -> None:
        """Save what the server has, and say so."""
        etag = f'"{stub.version}"'
        self.disk.save(read_snapshot(stub.body(), etag), stub.body())
        now = time.monotonic()
        generation = self.state.generation + 1
        self.say(etag=etag, generation=generation, asked_at=now, confirmed_at=now, error=None)


@pytest.fixture
def leader(stub: StubServer, tmp_path: Path) -> Iterator[ActedLeader]:
    leader = ActedLeader(stub.url, tmp_path)
    yield leader
    leader.lock.release()


@pytest.fixture
def follower(stub: StubServer, make_client: MakeClient, tmp_path: Path) -> ConfigView:
    return make_client(stub.url, cache_dir=tmp_path, share_polls=True).application("billing")


def test_a_follower_asks_nobody(
    stub: StubServer, leader: ActedLeader, follower: ConfigView
) -> None:
    leader.save(stub)
    assert follower["database"]["pool_size"] == 10
    stub.configurations, stub.version = {"database": {"pool_size": 20}}, 2
    leader.save(stub)
    eventually(lambda: follower["database"]["pool_size"] == 20)
    assert not stub.polls


def test_a_follower_goes_back_to_nothing_older_than_its_refresh(
    stub: StubServer, leader: ActedLeader, follower: ConfigView
) -> None:
    leader.save(stub)
    assert follower["database"]["pool_size"] == 10
    stub.configurations, stub.version = {"database": {"pool_size": 20}}, 2
    follower.refresh()
    leader.say(confirmed_at=time.monotonic())
    # It can't know which is newer, and asks.
    eventually(lambda: follower.status().polls >= 2)
    assert follower["database"]["pool_size"] == 20


def test_a_follower_leaves_the_copy_to_its_leader(
    stub: StubServer, leader: ActedLeader, follower: ConfigView
) -> None:
    leader.save(stub)
    assert follower["database"]["pool_size"] == 10
    stub.configurations, stub.version = {"database": {"pool_size": 20}}, 2
    assert follower.refresh()
    saved = leader.disk.load()
    assert saved is not None
    assert saved.snapshot["database"]["pool_size"] == 10


def test_a_follower_is_refused_as_its_leader_is(leader: ActedLeader, follower: ConfigView) -> None:
    leader.say(error=("NotFoundError", "there is no application billing"))
    with pytest.raises(NotFoundError, match="no application billing"):
        follower.wait_until_ready()
    assert follower.status().failures == 0


def test_a_follower_polls_by_itself_where_the_leader_gets_no_responses(
    stub: StubServer, leader: ActedLeader, follower: ConfigView, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "configsvc_client")
    leader.save(stub)
    assert follower["database"]["pool_size"] == 10
    stub.publish(database={"pool_size": 20})
    leader.say(confirmed_at=time.monotonic() - SharedPoller.LONGEST)
    eventually(lambda: follower["database"]["pool_size"] == 20)
    assert "The process that leads gets no responses" in caplog.text


def test_a_follower_polls_by_itself_where_the_leader_can_save_nothing(
    stub: StubServer, leader: ActedLeader, follower: ConfigView, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "configsvc_client")
    leader.save(stub)
    assert follower["database"]["pool_size"] == 10
    stub.publish(database={"pool_size": 20})

    def has_changed() -> bool:
        leader.say(etag=None, generation=2)
        return bool(follower["database"]["pool_size"] == 20)

    eventually(has_changed)
    assert "The copy of the process that leads is not to be had" in caplog.text
    leader.save(stub)
    eventually(lambda: follower.status().mode == FOLLOWING)


def test_a_state_that_nobody_keeps_up_to_date_is_not_believed(
    leader: ActedLeader, follower: ConfigView
) -> None:
    leader.file._boot = "another"
    leader.say(etag='"9"', generation=9)
    assert follower["database"]["pool_size"] == 10
    eventually(lambda: follower.status().mode == BY_ITSELF)
    leader.lock.release()
    eventually(lambda: follower.status().mode == LEADING)


def test_who_takes_over_saves_what_nobody_has_saved(
    stub: StubServer, leader: ActedLeader, follower: ConfigView
) -> None:
    leader.save(stub)
    assert follower["database"]["pool_size"] == 10
    stub.configurations, stub.version = {"database": {"pool_size": 20}}, 2
    follower.refresh()
    leader.lock.release()

    def is_saved() -> bool:
        saved = leader.disk.load()
        return saved is not None and saved.snapshot.etag == '"2"'

    eventually(is_saved)


def test_who_takes_over_finds_out_at_once_how_things_are(
    stub: StubServer, leader: ActedLeader, follower: ConfigView
) -> None:
    leader.save(stub)
    leader.say(error=("TransportError", "the server is away"))
    follower.wait_until_ready()
    eventually(lambda: follower.status().last_error)
    assert follower.status().stale
    leader.lock.release()
    eventually(lambda: not follower.status().stale)
    assert "Prefer" not in stub.requests[0][2]
