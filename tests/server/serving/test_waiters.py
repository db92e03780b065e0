"""Waiters on a real server: they occupy a connection, and a thread only when there is something."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests
from structlog.testing import capture_logs

from configsvc_server.app import open_services
from configsvc_server.cache.waiters import ChangeSignal, WaitSlot
from configsvc_server.serving.channel import ApiChannel
from configsvc_server.serving.lanes import Job, Lanes
from configsvc_server.serving.limits import Limits
from configsvc_server.settings import Settings
from tests.attacks.wire import ask, connect, read_answer
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import until

CROWD = 40
SNAPSHOT = "/api/v1/applications/billing/environments/default/snapshot"


@pytest.fixture(autouse=True)
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody find out by looking that a client has gone."""
    monkeypatch.setattr(WaitSlot, "CHECK_INTERVAL", 3600.0)


@pytest.fixture
def subscribed(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts those who have begun to wait."""
    begun = threading.Semaphore(0)
    subscribe = ChangeSignal.subscribe

    def announce(self: ChangeSignal, *args: object) -> object:
        begun.release()
        return subscribe(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ChangeSignal, "subscribe", announce)
    return begun


@pytest.fixture
def server(settings: Settings, database_url: str) -> Iterator[RunningServer]:
    with serving(settings, database_url) as server:
        yield server


@contextmanager
def serving(
    settings: Settings, database_url: str, *, limits: Limits | None = None
) -> Iterator[RunningServer]:
    """A server with an application."""
    with (
        open_services(settings, database_url) as runtime,
        running_server(runtime.app, limits=limits, on_stop=runtime.release_waiters) as server,
    ):
        path = f"{server.url}/api/v1/applications"
        assert requests.post(path, json={"name": "billing"}, timeout=30).status_code == 201
        yield server


def change(server: RunningServer, name: str) -> None:
    path = f"{server.url}/api/v1/applications/billing/configurations"
    answer = requests.post(path, json={"name": name, "config": {}}, timeout=30)
    assert answer.status_code == 201


def wait_for_change(server: RunningServer, sock: socket.socket, *, seconds: int = 60) -> None:
    etag = requests.get(server.url + SNAPSHOT, timeout=30).headers["ETag"]
    sock.sendall(
        f"GET {SNAPSHOT} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\n"
        f"Prefer: wait={seconds}\r\nX-Request-ID: mine\r\n\r\n".encode()
    )


def follow(sock: socket.socket, query: str, *, seconds: int = 60) -> None:
    head = f"GET /api/v1/changes?{query} HTTP/1.1\r\nHost: x\r\nPrefer: wait={seconds}\r\n\r\n"
    sock.sendall(head.encode())


def threads_of_waiters() -> int:
    return sum(thread.name.startswith("configsvc-wait") for thread in threading.enumerate())


def test_a_crowd_waits_and_is_answered_with_a_handful_of_threads(
    server: RunningServer, subscribed: threading.Semaphore
) -> None:
    before = threads_of_waiters()
    with ExitStack() as stack:
        crowd = [stack.enter_context(connect(server)) for _ in range(CROWD)]
        for sock in crowd:
            wait_for_change(server, sock)
        for _ in crowd:
            assert subscribed.acquire(timeout=60)

        assert threads_of_waiters() - before <= Lanes.WAIT_THREADS
        change(server, "a")
        answers = [read_answer(sock) for sock in crowd]

    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["preference-applied"] for answer in answers} == {"wait=60"}
    assert len({answer.body for answer in answers}) == 1


def test_one_line_of_the_access_log_has_the_id_and_the_whole_wait(
    server: RunningServer, subscribed: threading.Semaphore
) -> None:
    with connect(server) as sock, capture_logs() as logs:
        wait_for_change(server, sock, seconds=1)
        assert subscribed.acquire(timeout=60)
        answer = read_answer(sock)

    lines = [line for line in logs if line.get("status") == 304]
    assert answer.status == 304
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.headers["x-request-id"] == "mine"
    assert len(lines) == 1
    assert lines[0]["duration_ms"] >= 1000


def test_an_id_that_the_server_made_stays_the_same(
    server: RunningServer, subscribed: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make() -> str:
        made.append(f"made-{len(made)}")
        return made[-1]

    monkeypatch.setattr("configsvc_server.http.context.new_request_id", make)
    with connect(server) as sock:
        follow(sock, "action=delete", seconds=1)
        assert subscribed.acquire(timeout=60)
        answer = read_answer(sock)

    assert answer.document["items"] == []
    assert made == [answer.headers["x-request-id"]]


def test_who_has_gone_gives_back_the_slot_at_once(
    settings: Settings, database_url: str, subscribed: threading.Semaphore
) -> None:
    alone = settings.model_copy(update={"max_waiters": 1})
    with serving(alone, database_url) as server:
        with connect(server) as sock:
            wait_for_change(server, sock)
            assert subscribed.acquire(timeout=60)

        def is_granted() -> bool:
            with connect(server) as other:
                wait_for_change(server, other, seconds=1)
                return "preference-applied" in read_answer(other).headers

        assert until(is_granted, seconds=30)


def test_waiters_leave_a_quarter_of_the_connections_to_others(
    settings: Settings, database_url: str, subscribed: threading.Semaphore
) -> None:
    few = settings.model_copy(update={"max_connections": 12, "max_waiters": 1000})
    with serving(few, database_url) as server, ExitStack() as stack:
        for _ in range(9):
            wait_for_change(server, stack.enter_context(connect(server)))
            assert subscribed.acquire(timeout=60)
        last = stack.enter_context(connect(server))
        wait_for_change(server, last)

        assert "preference-applied" not in read_answer(last).headers


class LateLane:
    """A lane in which no thread is free before the event loop has swept its connections."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []

    def submit(self, _peer: str, job: Job) -> None:
        self._jobs.append(job)

    def cancel(self, _peer: str, job: Job) -> bool:
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        return True

    def begin(self) -> None:
        while self._jobs:
            threading.Thread(target=self._jobs.pop().service).start()


def test_the_end_of_a_wait_is_no_time_in_a_queue(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = LateLane()
    sweep = ApiChannel.sweep

    def sweep_and_begin(self: ApiChannel, now: float) -> None:
        sweep(self, now)
        lane.begin()

    monkeypatch.setattr(ApiChannel, "sweep", sweep_and_begin)
    monkeypatch.setattr(Lanes, "of_waiters", lambda _: lane)
    limits = Limits(queue_timeout=1.0)
    with serving(settings, database_url, limits=limits) as server, connect(server) as sock:
        wait_for_change(server, sock, seconds=2)

        assert read_answer(sock).status == 304


def test_a_follower_of_the_feed_goes_on_from_where_it_was_woken(
    server: RunningServer, subscribed: threading.Semaphore
) -> None:
    with connect(server) as sock:
        follow(sock, "action=delete")
        assert subscribed.acquire(timeout=60)
        change(server, "a")
        path = f"{server.url}/api/v1/applications/billing/configurations"
        made = requests.get(path, timeout=30).json()["items"][0]
        deleted = requests.delete(f"{server.url}/api/v1/configurations/{made['id']}", timeout=30)
        assert deleted.status_code == 204
        answer = read_answer(sock)

    assert [item["action"] for item in answer.document["items"]] == ["delete"]


def test_a_connection_goes_on_after_a_wait(
    server: RunningServer, subscribed: threading.Semaphore
) -> None:
    with connect(server) as sock:
        for name in ("a", "b", "c"):
            wait_for_change(server, sock)
            assert subscribed.acquire(timeout=60)
            change(server, name)
            answer = read_answer(sock)
            assert name in answer.document["configurations"]

    assert ask(server, b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
