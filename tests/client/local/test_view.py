"""Views over files in place of a server."""

import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from configsvc_client import (
    ClosedError,
    ConfigFileError,
    ConfigView,
    NotFoundError,
    TransportError,
)
from configsvc_client.testing import FakeConfigClient
from tests.client.conftest import MakeClient
from tests.client.local.conftest import MakeView
from tests.client.stub import eventually


@dataclass(frozen=True)
class Database:
    host: str
    pool_size: int


@pytest.fixture
def app(make_view: MakeView) -> ConfigView:
    """A view that is ready."""
    view = make_view()
    view.wait_until_ready()
    return view


def write(folder: Path, text: str, name: str = "database.json") -> None:
    (folder / "billing" / name).write_text(text)


def test_a_folder_serves_as_a_server_does(app: ConfigView) -> None:
    assert app["database"] == {"host": "db1", "pool_size": 10}
    assert app.get("database.pool_size") == 10
    status = app.status()
    assert (status.state, status.source, status.stale) == ("live", "file", False)
    assert status.version == app.snapshot().version
    assert "from file" in repr(status)


def test_a_change_reaches_bound_objects_and_callbacks(folder: Path, app: ConfigView) -> None:
    database = app.bind("database", Database)
    told: Queue[Any] = Queue()
    app.on_change(lambda change: told.put((change.old, change.new)), "database.pool_size")
    write(folder, '{"host": "db1", "pool_size": 20}')
    assert told.get(timeout=20) == (10, 20)
    assert database.value == Database("db1", 20)
    assert repr(app.diff()) == "~ /database/pool_size: 10 → 20"


def test_configurations_that_did_not_change_are_shared(folder: Path, app: ConfigView) -> None:
    before = app["database"]
    write(folder, "{}", "mail.json")
    eventually(lambda: "mail" in app)
    assert app["database"] is before


def test_a_broken_file_leaves_the_last_snapshot_and_is_recovered_from(
    folder: Path, app: ConfigView, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, '{"host": "db1",\n "pool')
    eventually(lambda: app.status().stale)
    error = app.status().last_error
    assert isinstance(error, ConfigFileError)
    assert (error.line, error.column) == (2, 2)
    assert "database.json, line 2, column 2" in repr(app.status())
    assert app["database"]["pool_size"] == 10
    write(folder, '{"host": "db1", "pool_size": 20}')
    eventually(lambda: not app.status().stale)
    assert app["database"]["pool_size"] == 20
    assert [r.levelno for r in caplog.records] == [logging.WARNING]


def test_a_folder_that_goes_away_leaves_the_last_snapshot(folder: Path, app: ConfigView) -> None:
    folder.rename(folder.with_name("away"))
    eventually(lambda: app.status().stale)
    assert app["database"]["pool_size"] == 10
    folder.with_name("away").rename(folder)
    eventually(lambda: not app.status().stale)


def test_a_broken_file_at_the_start_is_raised_at_once(folder: Path, make_view: MakeView) -> None:
    write(folder, "{")
    view = make_view(start_timeout=600)
    with pytest.raises(ConfigFileError, match=r"database\.json, line 1, column 2"):
        view["database"]
    write(folder, '{"pool_size": 20}')
    eventually(lambda: view.status().state == "live")
    assert view["database"]["pool_size"] == 20


def test_an_unknown_application_is_not_found(folder: Path, make_client: MakeClient) -> None:
    client = make_client(f"file:{folder}", start_timeout=600)
    for name in ("shop", "a/b", ".."):
        with pytest.raises(NotFoundError, match="There is no application"):
            client.application(name).snapshot()


def test_refresh_reads_in_this_thread(folder: Path, app: ConfigView) -> None:
    write(folder, '{"host": "db1", "pool_size": 20}')
    app.refresh()
    assert app["database"]["pool_size"] == 20


def test_environments_can_be_compared(folder: Path, app: ConfigView) -> None:
    (folder / "billing" / "prod").mkdir()
    write(folder, '{"pool_size": 50}', "prod/database.json")
    assert repr(app.diff(environment="prod")) == "~ /database/pool_size: 50 → 10"


def test_the_past_needs_a_server(app: ConfigView) -> None:
    with pytest.raises(TransportError, match=r"needs a server.*files have no history"):
        app.at(datetime.now(UTC))


def test_wrappers_need_a_server(folder: Path, make_client: MakeClient) -> None:
    client = make_client(f"file:{folder}")
    for call in (
        lambda: list(client.applications.list()),
        lambda: client.applications.create(name="shop"),
        lambda: client.applications.get("billing"),
        lambda: client.configurations.find("billing", "database"),
        lambda: client.releases.promote("billing", "default", "prod"),
        lambda: next(iter(client.changes.follow())),
    ):
        with pytest.raises(TransportError, match="needs a server, and this client has files"):
            call()


def test_provenance_is_the_file_and_its_time(folder: Path, app: ConfigView) -> None:
    path = folder / "billing" / "database.json"
    provenance = app.snapshot().provenance("database")
    assert provenance.id == str(path)
    assert provenance.updated_at.timestamp() == pytest.approx(path.stat().st_mtime, abs=1e-3)


def test_a_closed_client_reads_no_files(folder: Path, make_client: MakeClient) -> None:
    client = make_client(f"file:{folder}")
    view = client.application("billing")
    view.wait_until_ready()
    client.close()
    write(folder, '{"pool_size": 20}')
    assert view["database"]["pool_size"] == 10
    with pytest.raises(ClosedError):
        view.refresh()


def test_a_folder_needs_no_copy_on_disk(folder: Path, make_client: MakeClient) -> None:
    cache = folder / "cache"
    view = make_client(f"file:{folder}", cache_dir=cache).application("billing")
    view.refresh()
    view.close()
    assert not cache.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_follows_files_by_itself(folder: Path, app: ConfigView) -> None:
    child = os.fork()
    if child == 0:
        try:
            eventually(lambda: app["database"]["pool_size"] == 20)
            os._exit(0)
        finally:
            os._exit(1)
    write(folder, '{"pool_size": 20}')
    _, status = os.waitpid(child, 0)
    assert status == 0
    eventually(lambda: app["database"]["pool_size"] == 20)


def test_a_fake_client_does_not_ask_the_variable_for_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONFIGSVC_ENVIRONMENT", "prod")
    client = FakeConfigClient({"billing": {"database": {"pool_size": 10}}})
    assert client.application("billing").environment == "default"


def test_the_environment_is_that_of_the_variable(
    folder: Path, make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "billing" / "prod").mkdir()
    write(folder, '{"pool_size": 50}', "prod/database.json")
    monkeypatch.setenv("CONFIGSVC_ENVIRONMENT", "prod")
    assert make_view()["database"]["pool_size"] == 50
    assert make_view("default")["database"]["pool_size"] == 10
    monkeypatch.delenv("CONFIGSVC_ENVIRONMENT")
    assert make_view().environment == "default"
