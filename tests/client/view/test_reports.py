"""Reports of a view to its server: who polls, and why a snapshot is rejected; over the stub."""

import json
import logging
import sys
import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from configsvc_client import Change, ConfigView
from configsvc_client._view.inline_poller import InlinePoller
from configsvc_client._view.reporter import Reporter
from tests.client.conftest import MakeClient
from tests.client.stub import Handler, StubServer, eventually, hang


@dataclass
class Database:
    pool_size: int


class Reports:
    """What the stub was told, and how it answers that."""

    def __init__(self, stub: StubServer) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 204
        self.polls: list[str | None] = []
        stub.answer(self._answer)

    def _answer(self, handler: Handler) -> None:
        if handler.command == "POST":
            self.paths.append(handler.path)
            self.bodies.append(json.loads(handler.body))
            handler.reply(self.status)
            return
        self.polls.append(handler.headers.get("Configsvc-Instance"))
        _serve(handler)


def _serve(handler: Handler) -> None:
    """Answer as the snapshot endpoint does, without waiting."""
    stub = handler.stub
    etag = f'"{stub.version}"'
    if handler.headers.get("If-None-Match") == etag:
        handler.reply(304, headers={"ETag": etag})
    else:
        handler.reply(200, stub.body(), {"ETag": etag})


@pytest.fixture
def reports(stub: StubServer) -> Reports:
    return Reports(stub)


@pytest.fixture
def app(stub: StubServer, reports: Reports, make_client: MakeClient) -> ConfigView:
    client = make_client(stub.url, service="checkout", long_poll=0, poll_interval=0.02)
    view = client.application("billing")
    view.wait_until_ready()
    return view


def test_each_poll_tells_who_it_is_from(app: ConfigView, reports: Reports) -> None:
    eventually(lambda: len(reports.polls) > 3)
    (header,) = set(reports.polls)
    assert header is not None
    assert header.startswith('id="')
    assert 'service="checkout"' in header
    assert header.endswith("interval=1")


def test_what_asks_without_a_tag_tells_nothing(
    stub: StubServer, reports: Reports, make_client: MakeClient
) -> None:
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    seen = len(stub.requests)
    app.refresh()
    mine = [r for r in stub.requests[seen:] if r[2].get("Cache-Control") == "no-cache"]
    assert mine
    assert not any("Configsvc-Instance" in headers for _, _, headers in mine)


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_it_can_be_turned_off(
    stub: StubServer,
    reports: Reports,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    options: dict[str, Any] = {"report": False} if how == "argument" else {}
    if how == "variable":
        monkeypatch.setenv("CONFIGSVC_REPORT", "0")
    app = make_client(stub.url, long_poll=0, poll_interval=0.02, **options).application("billing")
    bound = app.bind("database", Database)
    stub.publish(database={"pool_size": "many"})
    eventually(lambda: bound.error)
    count = len(reports.polls)
    eventually(lambda: len(reports.polls) > count + 2)
    assert set(reports.polls) == {None}
    assert not reports.bodies


def test_a_rejection_is_reported_once_and_withdrawn(
    stub: StubServer, app: ConfigView, reports: Reports
) -> None:
    app.bind("database", Database)
    stub.publish(database={"pool_size": "many"})
    eventually(lambda: reports.bodies)
    count = len(reports.polls)
    eventually(lambda: len(reports.polls) > count + 3)
    reason = {
        "configuration": "database",
        "pointer": "/pool_size",
        "message": "must be an integer, not a string",
    }
    assert reports.bodies == [{"version": "2", "rejections": [reason]}]
    stub.publish(database={"pool_size": 5})
    eventually(lambda: app["database"]["pool_size"] == 5)
    count = len(reports.polls)
    eventually(lambda: len(reports.polls) > count + 3)
    # Of another version, which says by itself that the old report is over.
    assert len(reports.bodies) == 1


def test_the_poll_itself_tells_that_there_are_rejections(
    stub: StubServer, app: ConfigView, reports: Reports
) -> None:
    app.bind("database", Database)
    stub.publish(database={"pool_size": "many"})
    eventually(lambda: any("rejects=1" in str(poll) for poll in reports.polls))
    stub.publish(database={"pool_size": 5})
    eventually(lambda: "rejects" not in str(reports.polls[-1]))


def test_reasons_come_before_the_poll_that_has_the_version(
    stub: StubServer, make_client: MakeClient
) -> None:
    order: list[str] = []

    def note(handler: Handler) -> None:
        if handler.command == "POST":
            order.append("report")
            handler.reply(204)
        else:
            order.append(str(handler.headers.get("If-None-Match")))
            _serve(handler)

    stub.answer(note)
    app = make_client(stub.url, long_poll=0, poll_interval=0.02).application("billing")
    app.bind("database", Database)
    stub.publish(database={})
    eventually(lambda: '"2"' in order)
    assert order.index("report") < order.index('"2"')


def test_a_callback_that_raises_rejects(
    stub: StubServer, app: ConfigView, reports: Reports
) -> None:
    def resize(change: Change) -> None:
        raise ValueError(f"no {change.new}")

    app.on_change(resize, "database.pool_size")
    app.on_change(lambda _change: 1 / 0)
    app.bind("database", Database).on_change(lambda _old, new: [][new.pool_size])
    stub.publish(database={"pool_size": 61})
    eventually(lambda: reports.bodies)
    told = {
        (r["configuration"], r["pointer"]): r["message"] for r in reports.bodies[0]["rejections"]
    }
    assert set(told) == {("database", "/pool_size"), (None, ""), ("database", "")}
    assert "resize raised ValueError at test_reports.py, line" in told["database", "/pool_size"]
    assert "ZeroDivisionError" in told[None, ""]
    assert "61" not in told["database", "/pool_size"]


def test_a_callback_that_is_cancelled_rejects_nothing(
    stub: StubServer, app: ConfigView, reports: Reports
) -> None:
    subscription = app.on_change(lambda _change: 1 / 0, "database")
    stub.publish(database={"pool_size": 1})
    eventually(lambda: reports.bodies)
    subscription.cancel()
    eventually(lambda: len(reports.bodies) == 2)
    assert reports.bodies[1] == {"version": "2", "rejections": []}


@pytest.mark.parametrize("code", [404, 405, 422, 403])
def test_a_server_that_takes_no_reports_is_not_asked_again(
    stub: StubServer, app: ConfigView, reports: Reports, code: int
) -> None:
    reports.status = code
    app.bind("database", Database)
    for version in range(3):
        stub.publish(database={"pool_size": f"many {version}"})
        count = len(reports.polls)
        eventually(lambda count=count: len(reports.polls) > count + 2)  # type: ignore[misc]
    assert len(reports.bodies) == 1
    assert app.status().state == "live"


def test_a_report_that_failed_is_sent_again(
    stub: StubServer, app: ConfigView, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reporter, "RETRY", 0.01)
    reports.status = 503
    app.bind("database", Database)
    stub.publish(database={})
    eventually(lambda: len(reports.bodies) > 1)
    reports.status = 204
    eventually(lambda: len(set(map(str, reports.bodies))) == 1)
    assert app.status().state == "live"
    assert app.status().failures == 0


def test_a_report_that_is_never_answered_keeps_nothing_from_following(
    stub: StubServer, app: ConfigView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reporter, "PATIENCE", 0.05)
    stub.answer(lambda handler: hang(handler) if handler.command == "POST" else _serve(handler))
    app.bind("database", Database)
    stub.publish(database={"pool_size": "many"})
    eventually(lambda: app["database"]["pool_size"] == "many")
    stub.publish(database={"pool_size": 7})
    eventually(lambda: app["database"]["pool_size"] == 7)


def test_after_an_outage_it_is_told_again(
    stub: StubServer, app: ConfigView, reports: Reports
) -> None:
    app.bind("database", Database)
    stub.publish(database={})
    eventually(lambda: reports.bodies)
    stub.stop()
    eventually(lambda: app.status().stale)
    stub.start()
    eventually(lambda: len(reports.bodies) == 2)
    assert reports.bodies[0] == reports.bodies[1]


def test_while_the_server_fails_nothing_is_reported(
    stub: StubServer, app: ConfigView, reports: Reports
) -> None:
    app.bind("database", Database)
    posts: list[str] = []

    def fail(handler: Handler) -> None:
        posts.extend(["POST"] * (handler.command == "POST"))
        handler.reply(503)

    stub.publish(database={})
    eventually(lambda: reports.bodies)
    stub.answer(fail)
    eventually(lambda: app.status().failures > 3)
    assert not posts


def test_nothing_but_debug_lines_tells_of_reports(
    stub: StubServer, app: ConfigView, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    reports.status = 500
    app.bind("database", Database)
    with caplog.at_level(logging.INFO, "configsvc_client"):
        stub.publish(database={})
        eventually(lambda: reports.bodies)
        count = len(reports.polls)
        eventually(lambda: len(reports.polls) > count + 2)
    assert not [r for r in caplog.records if "eport" in r.getMessage()]


def test_a_rejection_amid_a_long_poll_is_reported_at_once(
    stub: StubServer, make_client: MakeClient
) -> None:
    posted = threading.Event()

    def answer(handler: Handler) -> None:
        if handler.command == "POST":
            posted.set()
            handler.reply(204)
        elif "Prefer" in handler.headers:
            hang(handler)
        else:
            _serve(handler)

    stub.answer(answer)
    app = make_client(stub.url).application("billing")
    bound = app.bind("database", Database)
    eventually(lambda: any("Prefer" in headers for _, _, headers in stub.requests))
    stub.publish(database={})
    app.refresh()
    assert bound.error is not None
    app._runtime.report()
    assert posted.wait(20)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(opt={"http-socket": b":8080"}, worker_id=lambda: 1)
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    monkeypatch.setattr(InlinePoller, "EVERY", 0.01)


@pytest.mark.usefixtures("inline")
def test_where_no_threads_run_a_report_takes_the_place_of_a_poll(
    stub: StubServer, reports: Reports, make_client: MakeClient
) -> None:
    app = make_client(stub.url).application("inline-reports")
    app.bind("database", Database)
    stub.publish(database={})
    eventually(lambda: app["database"] == {} and reports.bodies)
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"configsvc report", "configsvc inline-reports/default"}


def test_files_in_place_of_a_server_are_told_nothing(
    tmp_path: Any, make_client: MakeClient
) -> None:
    folder = tmp_path / "billing"
    folder.mkdir()
    (folder / "database.json").write_text('{"pool_size": 1}')
    app = make_client(f"file:{tmp_path}").application("billing")
    bound = app.bind("database", Database)
    (folder / "database.json").write_text('{"pool_size": "many"}')
    eventually(lambda: bound.error)
    assert app.status().last_error is None


def test_a_status_callback_that_raises_rejects_nothing(
    stub: StubServer, reports: Reports, make_client: MakeClient
) -> None:
    client = make_client(stub.url, long_poll=0, poll_interval=0.02)
    called: list[object] = []

    def fail(news: object) -> None:
        called.append(news)
        raise ValueError

    client.on_status(fail)
    client.application("billing").wait_until_ready()
    eventually(lambda: called)
    count = len(reports.polls)
    eventually(lambda: len(reports.polls) > count + 2)
    assert not reports.bodies
