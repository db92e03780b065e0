"""Fallback values for a first start without a server."""

from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from configsvc_client import ConfigFileError, ConfigView, NotReadyError
from configsvc_client._view.runtime import ViewRuntime
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, eventually, hang, status

FALLBACK = {"billing": {"database": {"pool_size": 5}, "mail": {"sender": "a@b"}}}


@pytest.fixture
def away(stub: StubServer) -> StubServer:
    """A server that does not run yet."""
    stub.stop()
    return stub


def test_it_is_served_at_once_where_the_server_refuses_connections(
    away: StubServer, make_client: MakeClient
) -> None:
    app = make_client(away.url, fallback=FALLBACK, start_timeout=600).application("billing")
    assert app["database"]["pool_size"] == 5
    found = app.status()
    assert (found.state, found.source, found.stale) == ("stale", "fallback", True)
    assert (found.version, found.age) == (None, None)
    assert "from fallback" in repr(found)
    assert repr(app) == "<ConfigView billing/default: stale, 2 configurations, never confirmed>"


def test_a_server_that_hangs_delays_it_by_the_grace(
    stub: StubServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ViewRuntime, "DISK_GRACE", 0.1)
    stub.answer(hang)
    app = make_client(stub.url, fallback=FALLBACK, start_timeout=600).application("billing")
    assert app["database"]["pool_size"] == 5


@pytest.mark.parametrize("code", [401, 404, 503])
def test_it_is_served_whatever_the_server_answers(
    stub: StubServer, make_client: MakeClient, code: int
) -> None:
    stub.answer(status(code))
    app = make_client(stub.url, fallback=FALLBACK).application("billing")
    assert app["database"]["pool_size"] == 5
    last = app.status().last_error
    assert last is not None
    assert last.status == code


def test_the_server_replaces_it_and_callbacks_are_called_for_differences(
    away: StubServer, make_client: MakeClient
) -> None:
    told: Queue[Any] = Queue()
    app = make_client(away.url, fallback=FALLBACK).application("billing")
    app.wait_until_ready()
    mail = app["mail"]
    app.on_change(lambda change: told.put((change.path, change.old, change.new)), "mail")
    app.on_change(
        lambda change: told.put((change.path, change.old, change.new)), "database.pool_size"
    )
    away.publish(database={"pool_size": 20}, mail={"sender": "a@b"})
    away.start()
    assert told.get(timeout=20) == ("database.pool_size", 5, 20)
    assert told.empty()
    assert app["mail"] is mail
    eventually(lambda: app.status().source == "server")
    assert not app.status().stale


def test_the_server_is_not_asked_whether_it_is_current(
    away: StubServer, make_client: MakeClient
) -> None:
    app = make_client(away.url, fallback=FALLBACK).application("billing")
    app.wait_until_ready()
    away.start()
    eventually(lambda: app.status().source == "server")
    assert "If-None-Match" not in away.requests[0][2]


def test_the_copy_on_disk_wins(stub: StubServer, make_client: MakeClient, tmp_path: Path) -> None:
    options: dict[str, Any] = {"fallback": FALLBACK, "cache_dir": tmp_path}
    first = make_client(stub.url, **options).application("billing")
    first.wait_until_ready()
    eventually(lambda: list(tmp_path.glob("*.snapshot")))
    first.close()
    stub.stop()
    app = make_client(stub.url, **options).application("billing")
    assert app["database"]["pool_size"] == 10
    assert app.status().source == "disk"


def test_an_application_that_it_lacks_is_not_ready(
    away: StubServer, make_client: MakeClient
) -> None:
    app = make_client(away.url, fallback={}, start_timeout=0.1).application("billing")
    with pytest.raises(NotReadyError):
        app["database"]


def test_it_may_be_a_folder_with_overlays(
    away: StubServer, make_client: MakeClient, folder: Path
) -> None:
    (folder / "billing" / "prod").mkdir()
    (folder / "billing" / "prod" / "database.toml").write_text("pool_size = 50")
    client = make_client(away.url, fallback=folder)
    assert client.application("billing", environment="prod")["database"]["pool_size"] == 50
    assert client.application("billing")["database"]["pool_size"] == 10


def test_a_broken_file_is_found_while_the_server_is_well(
    stub: StubServer, make_client: MakeClient, folder: Path
) -> None:
    (folder / "billing" / "database.json").write_text("{")
    client = make_client(stub.url, fallback=folder)
    with pytest.raises(ConfigFileError, match="line 1"):
        client.application("billing")


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        ({"billing": {"database": 5}}, "fallback, /billing/database: it must be an object"),
        ({"billing": []}, "fallback, /billing: it must be an object"),
        ({"billing": {"a": {"b": {1}}}}, "fallback, /billing/a/b: it has a set"),
    ],
)
def test_an_impossible_fallback_is_refused(
    make_client: MakeClient, fallback: Any, message: str
) -> None:
    with pytest.raises(ConfigFileError, match=message):
        make_client("http://server", fallback=fallback)


def test_it_is_not_served_while_the_server_answers(
    stub: StubServer, make_client: MakeClient
) -> None:
    app: ConfigView = make_client(stub.url, fallback=FALLBACK).application("billing")
    assert app["database"]["pool_size"] == 10
    assert list(app) == ["database"]
