"""Views in hosts that run no threads of Python; the real ones are in ``tests/hosts``."""

import sys
import threading
from types import SimpleNamespace

import pytest

from configsvc_client import ConfigView
from configsvc_client._view.inline_poller import InlinePoller, threads_run
from configsvc_client._view.synchronizer import Synchronizer
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, drop, eventually, hang, serve, status


@pytest.fixture
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The module that uWSGI has in its processes; without options, as by default."""
    module = SimpleNamespace(opt={"http-socket": b":8080"}, worker_id=lambda: 1)
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    monkeypatch.setattr(InlinePoller, "EVERY", 0.01)
    return module


@pytest.fixture
def app(uwsgi: SimpleNamespace, stub: StubServer, make_client: MakeClient) -> ConfigView:
    """A ready view without a thread."""
    view = make_client(stub.url).application("inline")
    view.wait_until_ready()
    return view


def has_thread() -> bool:
    return any(thread.name == "configsvc inline/default" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("options", "worker", "expected"),
    [
        ({}, 1, False),
        ({"enable-threads": True}, 1, True),
        ({b"threads": b"2"}, 1, True),
        ({"gevent": b"10"}, 1, True),
        ({"enable-threads": True}, 0, False),
    ],
    ids=["default", "enabled", "bytes", "gevent", "master"],
)
def test_threads_run_in_workers_that_have_them_enabled(
    uwsgi: SimpleNamespace, options: dict[object, object], worker: int, expected: bool
) -> None:
    uwsgi.opt, uwsgi.worker_id = options, lambda: worker
    assert threads_run() is expected


def test_threads_run_where_uwsgi_says_so(uwsgi: SimpleNamespace) -> None:
    uwsgi.has_threads = 1
    assert threads_run()
    uwsgi.has_threads = 0
    assert not threads_run()


def test_threads_run_in_other_hosts() -> None:
    assert threads_run()


def test_reads_follow_changes_without_a_thread(stub: StubServer, app: ConfigView) -> None:
    assert not has_thread()
    assert app.status().mode == "while reading"
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)
    assert app.status().state == "live"


def test_reads_go_on_through_an_outage(stub: StubServer, app: ConfigView) -> None:
    stub.answer(drop)
    eventually(lambda: app["database"]["pool_size"] == 10 and app.status().stale)
    stub.publish(database={"pool_size": 20})
    stub.answer(serve)
    eventually(lambda: app["database"]["pool_size"] == 20)


def test_an_unexpected_error_comes_out_of_no_read_and_is_logged_once(
    stub: StubServer,
    app: ConfigView,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(self: Synchronizer) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch, caplog.at_level("INFO", "configsvc_client"):
        patch.setattr(Synchronizer, "follow", fail)
        before = app.status().failures
        eventually(lambda: app["database"] and app.status().failures > before + 1)
    assert app.status().stale
    assert [r.exc_info is not None for r in caplog.records].count(True) == 1
    assert "polling inline/default" in caplog.text
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20 and not app.status().stale)


def test_reads_wait_for_a_hanging_server_for_a_moment_only(
    stub: StubServer, app: ConfigView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InlinePoller, "PATIENCE", 0.05)
    stub.answer(hang)
    eventually(lambda: app["database"]["pool_size"] == 10 and app.status().stale)


def test_a_refusal_at_the_start_is_raised(
    uwsgi: SimpleNamespace, stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(status(404))
    app = make_client(stub.url, start_timeout=0.1).application("inline")
    with pytest.raises(Exception, match="404"):
        app["database"]


def test_a_worker_whose_master_has_read_gets_a_thread(
    uwsgi: SimpleNamespace, stub: StubServer, make_client: MakeClient
) -> None:
    uwsgi.opt, uwsgi.worker_id = {"enable-threads": True}, lambda: 0
    app = make_client(stub.url).application("inline")
    assert app["database"]["pool_size"] == 10
    assert not has_thread()
    uwsgi.worker_id = lambda: 1
    assert app["database"]["pool_size"] == 10
    assert has_thread()
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)
