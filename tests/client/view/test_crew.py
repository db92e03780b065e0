"""Processes that follow a shared poller: counted, and reported by the one that polls."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import ConfigClient
from configsvc_client._view.crew import Member, look_for_crew
from configsvc_client._view.rejections import Reason
from configsvc_client._view.shared_poller import SharedPoller
from tests.client.conftest import MakeClient
from tests.client.stub import Handler, StubServer, eventually
from tests.client.view.test_reports import Database
from tests.client.view.test_shared_polls import FOLLOWING, LEADING

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on files")

REASON = Reason("database", "/pool_size", "must be an integer, not a string")


def test_a_crew_is_those_that_keep_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "app.crew"
    assert look_for_crew(folder, "2") == (0, ())
    one, other = Member(folder), Member(folder)
    one.keep("2", (REASON,), 0.0)
    other.keep("1", (REASON._replace(pointer=""),), 0.0)
    # The reasons of another version are of no use.
    assert look_for_crew(folder, "2") == (2, (REASON,))
    one.leave()
    assert look_for_crew(folder, "2") == (1, ())
    other.leave()
    assert not list(folder.iterdir())


def test_a_file_is_written_where_it_says_something_else_or_is_old(tmp_path: Path) -> None:
    member = Member(tmp_path)
    member.keep("1", (), 0.0)
    (file,) = tmp_path.iterdir()
    written = file.read_bytes()
    member.keep("1", (), Member.EVERY - 1)
    assert file.read_bytes() == written
    member.keep("1", (), Member.EVERY)
    assert file.read_bytes() != written
    assert file.stat().st_mode & 0o077 == 0


def test_reasons_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    reasons = [Reason("database", f"/{n}", "é" * 300) for n in range(20)]
    Member(tmp_path).keep("1", reasons, 0.0)
    members, found = look_for_crew(tmp_path, "1")
    assert members == 1
    assert found == tuple(reasons[: len(found)])
    assert found


def test_whatever_else_lies_there_is_no_member(tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"00000000 [")
    (tmp_path / "folder").mkdir()
    assert look_for_crew(tmp_path, "1") == (0, ())


@pytest.fixture
def answers(stub: StubServer) -> list[dict[str, Any]]:
    """The reports, from a server that answers as usual and waits a little."""
    reports: list[dict[str, Any]] = []

    def answer(handler: Handler) -> None:
        etag = f'"{stub.version}"'
        if handler.command == "POST":
            reports.append(json.loads(handler.body))
            handler.reply(204)
        elif handler.headers.get("If-None-Match") == etag:
            handler.reply(304, headers={"ETag": etag})
        else:
            handler.reply(200, stub.body(), {"ETag": etag})

    stub.answer(answer)
    return reports


def test_followers_are_counted_and_their_rejections_reported(
    stub: StubServer,
    answers: list[dict[str, Any]],
    make_client: MakeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SharedPoller, "TICK", 0.01)
    monkeypatch.setattr(SharedPoller, "PULSE", 0.05)

    def client() -> ConfigClient:
        return make_client(
            stub.url, cache_dir=tmp_path, share_polls=True, long_poll=0, poll_interval=0.02
        )

    leader = client().application("billing")
    leader.wait_until_ready()
    eventually(lambda: leader.status().mode == LEADING)
    follower = client().application("billing")
    follower.wait_until_ready()
    eventually(lambda: follower.status().mode == FOLLOWING)
    eventually(lambda: "processes=2" in stub.requests[-1][2].get("Configsvc-Instance", ""))
    ids = {headers["Configsvc-Instance"].partition(",")[0] for _, _, headers in stub.requests}
    assert len(ids) == 1
    follower.bind("database", Database)
    stub.publish(database={"pool_size": "many"})
    eventually(lambda: answers)
    assert answers[0] == {"version": "2", "rejections": [REASON._asdict()]}
    follower.close()
    eventually(lambda: "processes" not in stub.requests[-1][2].get("Configsvc-Instance", ""))
    assert not list(tmp_path.glob("*.crew/*"))
    eventually(
        lambda: not any(thread.name == "configsvc report" for thread in threading.enumerate())
    )
