"""A view over a server that is down, slow, or wrong."""

import logging
import os
import re
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from configsvc_client import (
    AuthError,
    ClosedError,
    ConfigView,
    NotFoundError,
    NotReadyError,
    ServerError,
    TransportError,
)
from configsvc_client._http.api import Api
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._view.poller import Poller
from tests.client.conftest import MakeClient
from tests.client.stub import (
    Behaviour,
    Handler,
    StubServer,
    cut_body,
    drop,
    eventually,
    hang,
    serve,
    status,
)


@pytest.fixture
def app(stub: StubServer, make_client: MakeClient) -> ConfigView:
    """A view that is ready."""
    view = make_client(stub.url).application("billing")
    view.wait_until_ready()
    return view


def same_etag(handler: Handler) -> None:
    handler.reply(200, handler.stub.body(), {"ETag": '"always"'})


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (status(500), ServerError),
        (status(503, {"Retry-After": "0"}), ServerError),
        (status(429, {"Retry-After": "0"}), ServerError),
        (status(200, body=b"<html>Log in</html>"), ServerError),
        (status(200, body=b"[]"), ServerError),
        (status(200, body=b'{"configurations": {"database": {}}}'), ServerError),
        (status(200, body=b"[" * 100_000), ServerError),
        (status(204), ServerError),
        (status(404), NotFoundError),
        (status(401), AuthError),
        (cut_body, TransportError),
        (drop, TransportError),
    ],
    ids=[
        "500",
        "503",
        "429",
        "html",
        "array",
        "incomplete",
        "nested",
        "204",
        "404",
        "401",
        "cut body",
        "dropped",
    ],
)
def test_a_failing_server_leaves_the_last_snapshot_and_is_recovered_from(
    stub: StubServer, app: ConfigView, behaviour: Behaviour, error: type[Exception]
) -> None:
    stub.answer(behaviour)
    eventually(lambda: app.status().stale)
    assert app["database"]["pool_size"] == 10
    assert isinstance(app.status().last_error, error)
    assert app.status().state == "stale"

    stub.publish(database={"pool_size": 20})
    stub.answer(serve)
    eventually(lambda: not app.status().stale)
    assert app["database"]["pool_size"] == 20


def test_a_killed_server_leaves_the_last_snapshot_and_is_found_again(
    stub: StubServer, app: ConfigView
) -> None:
    stub.stop()
    eventually(lambda: app.status().stale)
    assert app["database"]["pool_size"] == 10

    stub.publish(database={"pool_size": 20})
    stub.start()
    eventually(lambda: app["database"]["pool_size"] == 20)
    assert app.status().state == "live"


def test_a_hanging_server_is_noticed(
    stub: StubServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "MARGIN", 0.1)
    app = make_client(stub.url, timeout=(1, 0.2), long_poll=1).application("billing")
    app.wait_until_ready()
    stub.answer(hang)
    eventually(lambda: app.status().stale)
    assert app["database"]["pool_size"] == 10
    stub.answer(serve)
    eventually(lambda: not app.status().stale)


def test_cut_long_polls_are_normal(
    stub: StubServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PollSchedule, "CUT_AFTER", 0.0)
    app = make_client(stub.url, poll_interval=0.05).application("billing")
    seen: list[bool] = []

    def cut_waiting(handler: Handler) -> None:
        seen.append(app.status().stale)
        if "Prefer" in handler.headers:
            drop(handler)
        else:
            stub.waits = False
            handler.stub.behaviour = cut_waiting
            if handler.headers.get("If-None-Match") == f'"{stub.version}"':
                handler.reply(304, headers={"ETag": f'"{stub.version}"'})
            else:
                handler.reply(200, stub.body(), {"ETag": f'"{stub.version}"'})

    app.wait_until_ready()
    stub.answer(cut_waiting)
    eventually(lambda: len(seen) > 20)
    assert not any(seen)
    # After three cuts the long polls are left off, and changes still come.
    waits = sum("Prefer" in headers for _, _, headers in stub.requests[-10:])
    assert waits == 0
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)


def test_an_etag_that_never_changes_hides_no_change(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(same_etag)
    app = make_client(stub.url, poll_interval=0.05).application("billing")
    app.wait_until_ready()
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)


def test_an_etag_that_never_changes_causes_no_storm_of_requests(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(same_etag)
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    eventually(lambda: stub.polls >= 2)
    app.refresh()
    assert stub.polls <= 3


def test_a_wrong_304_is_corrected_by_a_full_fetch_now_and_then(
    stub: StubServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always_304(handler: Handler) -> None:
        if "If-None-Match" in handler.headers:
            handler.reply(304, headers={"ETag": '"1"'})
        else:
            handler.reply(200, stub.body(), {"ETag": '"1"'})

    stub.answer(always_304)
    monkeypatch.setattr(Poller, "FULL_EVERY", 0.2)
    app = make_client(stub.url, poll_interval=0.05, long_poll=0).application("billing")
    app.wait_until_ready()
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)


def test_retry_after_is_obeyed(stub: StubServer, app: ConfigView) -> None:
    stub.answer(status(429, {"Retry-After": "1"}))
    eventually(lambda: app.status().stale)
    first = stub.polls
    stub.answer(serve)
    started = time.monotonic()
    eventually(lambda: stub.polls > first)
    # The answer may have been on its way for a moment when the clock was read.
    assert time.monotonic() - started > 0.8


def test_a_failing_poll_warns_once(
    stub: StubServer, app: ConfigView, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "configsvc_client"):
        stub.answer(status(500))
        before = app.status().polls
        eventually(lambda: app.status().polls > before + 5)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1


def test_without_a_copy_a_start_without_server_fails_with_the_reason(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.stop()
    app = make_client(stub.url, start_timeout=0.2).application("billing")
    with pytest.raises(NotReadyError, match=r"billing.*connection failed") as caught:
        app["database"]
    assert isinstance(caught.value.__cause__, TransportError)


def test_later_readers_do_not_wait_for_a_server_that_is_away(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(hang)
    app = make_client(stub.url, start_timeout=0.3).application("billing")
    with pytest.raises(NotReadyError):
        app["database"]
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(NotReadyError):
            app["database"]
    assert time.monotonic() - started < 0.3 * 20


@pytest.mark.parametrize(("code", "error"), [(404, NotFoundError), (403, AuthError)])
def test_a_refusal_at_the_start_is_raised_at_once(
    stub: StubServer, make_client: MakeClient, code: int, error: type[Exception]
) -> None:
    stub.answer(status(code))
    app = make_client(stub.url, start_timeout=60).application("billing")
    with pytest.raises(error):
        app["database"]
    stub.answer(serve)
    eventually(lambda: not app.status().stale)
    assert app["database"]["pool_size"] == 10


def _with_copy(stub: StubServer, make_client: MakeClient, folder: Path) -> Path:
    client = make_client(stub.url, cache_dir=folder)
    client.application("billing").wait_until_ready()
    eventually(lambda: list(folder.glob("*.snapshot")))
    client.close()
    (file,) = folder.glob("*.snapshot")
    return file


def test_with_a_copy_a_process_starts_without_server(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    _with_copy(stub, make_client, tmp_path)
    stub.stop()
    app = make_client(stub.url, cache_dir=tmp_path).application("billing")
    assert app["database"]["pool_size"] == 10
    assert (app.status().source, app.status().stale) == ("disk", True)
    stub.start()
    eventually(lambda: app.status().source == "server")
    assert not app.status().stale


def test_with_a_copy_a_process_starts_beside_a_hanging_server(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    _with_copy(stub, make_client, tmp_path)
    stub.answer(hang)
    app = make_client(stub.url, cache_dir=tmp_path).application("billing")
    assert app["database"]["pool_size"] == 10
    assert app.status().source == "disk"


def test_a_change_since_the_copy_is_reported(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    _with_copy(stub, make_client, tmp_path)
    stub.stop()
    app = make_client(stub.url, cache_dir=tmp_path).application("billing")
    app.wait_until_ready()
    called = threading.Event()
    app.on_change(lambda _: called.set(), "database.pool_size")
    stub.publish(database={"pool_size": 20})
    stub.start()
    assert called.wait(20)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:-10],
        lambda content: content.replace(b"10", b"99"),
        lambda content: b"\x00" * len(content),
        lambda content: content.replace(b"configsvc-snapshot-2", b"configsvc-snapshot-0"),
        lambda _: b"null\n",
        lambda content: re.sub(rb'"length": \d+', b'"length": 9999999999999', content),
        lambda content: re.sub(rb'"length": \d+', b'"length": 99999999999999999999', content),
        lambda content: content.replace(b'"digests": null', b'"digests": [1]'),
        lambda content: re.sub(rb'"etag": "[^,]*"', b'"etag": 5', content),
    ],
    ids=[
        "empty",
        "short",
        "altered",
        "zeros",
        "other format",
        "null",
        "long",
        "longer than any index",
        "other digests",
        "other tag",
    ],
)
def test_a_damaged_copy_is_ignored(
    stub: StubServer, make_client: MakeClient, tmp_path: Path, damage: object
) -> None:
    file = _with_copy(stub, make_client, tmp_path)
    assert callable(damage)
    file.write_bytes(damage(file.read_bytes()))
    stub.stop()
    app = make_client(stub.url, cache_dir=tmp_path, start_timeout=0.2).application("billing")
    with pytest.raises(NotReadyError):
        app["database"]
    assert str(file) in (app.status().cache_error or "")
    stub.start()
    eventually(lambda: not app.status().stale)
    assert app["database"]["pool_size"] == 10
    eventually(lambda: app.status().cache_error is None)


def test_a_full_disk_harms_nothing(
    stub: StubServer,
    make_client: MakeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    app = make_client(stub.url, cache_dir=tmp_path).application("billing")
    app.wait_until_ready()
    for size in (20, 30):
        stub.publish(database={"pool_size": size})
        eventually(lambda size=size: app["database"]["pool_size"] == size)  # type: ignore[misc]
    eventually(lambda: app.status().cache_error)
    assert "No space left" in (app.status().cache_error or "")
    # The second save may still be under way.
    eventually(lambda: not list(tmp_path.iterdir()))
    assert sum("No space left" in record.message for record in caplog.records) == 1


def test_a_cache_folder_that_cannot_be_made_harms_nothing(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    app = make_client(stub.url, cache_dir=tmp_path / "file" / "cache").application("billing")
    assert app["database"]["pool_size"] == 10
    eventually(lambda: app.status().cache_error)


def test_the_copy_is_for_its_owner_only(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    file = _with_copy(stub, make_client, tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("jump", [-86400.0, 86400.0, -4e9])
def test_a_clock_that_jumps_changes_nothing(
    stub: StubServer, app: ConfigView, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)
    status = app.status()
    assert status.age is not None
    assert 0 <= status.age < 60
    assert not status.stale


def test_close_ends_a_long_poll_at_once(stub: StubServer, app: ConfigView) -> None:
    eventually(lambda: "Prefer" in stub.requests[-1][2])
    threads = [t for t in threading.enumerate() if t.name == "configsvc billing/default"]
    app.close()
    assert not any(thread.is_alive() for thread in threads)


def test_close_ends_a_wait_on_a_hanging_server(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(hang)
    app = make_client(stub.url).application("billing")
    app.on_change(print)
    eventually(lambda: stub.requests)
    threads = [t for t in threading.enumerate() if t.name == "configsvc billing/default"]
    app.close()
    assert not any(thread.is_alive() for thread in threads)
    with pytest.raises(ClosedError):
        app["database"]


def test_many_readers_never_see_an_older_or_torn_snapshot(
    stub: StubServer, app: ConfigView
) -> None:
    stub.publish(a={"n": 0}, b={"n": 0})
    eventually(lambda: "a" in app)
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        newest = 0
        while not stop.is_set():
            snapshot = app.snapshot()
            a, b, live = snapshot["a"]["n"], snapshot["b"]["n"], app["a"]["n"]
            if a != b:
                wrong.append(f"torn: {a} and {b}")
            if a < newest or live < a:
                wrong.append(f"older: {a} or {live} after {newest}")
            newest = live

    # Threads that never wait hold the interpreter for so long each; 50 of them take turns.
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    threads = [threading.Thread(target=read) for _ in range(50)]
    for thread in threads:
        thread.start()
    try:
        for n in range(1, 1001):
            stub.publish(a={"n": n}, b={"n": n})
            if n % 50 == 0:
                app.refresh()
        eventually(lambda: app["a"]["n"] == 1000, timeout=60)
    finally:
        sys.setswitchinterval(usual)
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
