"""Overrides by a file and by variables."""

import json
import logging
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from configsvc_client import ConfigClient, ConfigFileError
from configsvc_client._values.frozen import FrozenDict
from tests.client.conftest import MakeClient
from tests.client.local.conftest import MakeView
from tests.client.stub import StubServer, eventually


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An override file."""
    path = tmp_path / "configsvc.local.toml"
    path.write_text("[billing.database]\npool_size = 20\n[shop.database]\npool_size = 1\n")
    return path


def test_a_file_overrides_the_server(stub: StubServer, make_client: MakeClient, file: Path) -> None:
    stub.publish(database={"pool_size": 10, "host": "db1"}, mail={"sender": "a@b"})
    app = make_client(stub.url, overrides=file).application("billing")
    assert app["database"] == {"pool_size": 20, "host": "db1"}
    assert app["mail"] == {"sender": "a@b"}
    assert app.status().overrides == 1
    assert "1 overridden" in repr(app.status())


def test_variables_override_the_file(
    make_view: MakeView, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__pool_size", "30")
    app = make_view(overrides=file, env_overrides=True)
    assert app["database"] == {"host": "db1", "pool_size": 30}
    assert app.status().overrides == 1


def test_variables_override_nothing_unless_asked_for(
    make_view: MakeView, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__pool_size", "secret")
    app = make_view()
    assert app["database"]["pool_size"] == 10
    assert app.status().overrides == 0
    assert "Ignored without ConfigClient(env_overrides=True)" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20),
        ("true", True),
        ("db2", "db2"),
        ('"20"', "20"),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("NaN", "NaN"),
        ("[1e999]", "[1e999]"),
        ("2.5", 2.5),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_a_variable_is_json_or_else_a_string(
    make_view: MakeView, monkeypatch: pytest.MonkeyPatch, text: str, value: Any
) -> None:
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__new", text)
    assert make_view(env_overrides=True)["database"]["new"] == value


def test_null_removes(make_view: MakeView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__host", "null")
    assert make_view(env_overrides=True)["database"] == {"pool_size": 10}


def test_a_configuration_can_be_added_and_removed(
    make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGSVC_SET__billing__database", "null")
    monkeypatch.setenv("CONFIGSVC_SET__billing__mail__sender", "a@b")
    assert dict(make_view(env_overrides=True)) == {"mail": {"sender": "a@b"}}


def test_pointers_reach_names_that_no_variable_can_have(
    make_client: MakeClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "billing").rename(folder / "order-service")
    monkeypatch.setenv(
        "CONFIGSVC_SET", "/order-service/database/Pool.Size=20\n\n/order-service/mail/a~1b=x=y\n"
    )
    app = make_client(f"file:{folder}", env_overrides=True).application("order-service")
    assert app.get("/database/Pool.Size") == 20
    assert app.get("/mail/a~1b") == "x=y"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("CONFIGSVC_SET__billing", "1", "must name an application and a configuration"),
        ("CONFIGSVC_SET__billing____a", "1", "must name an application and a configuration"),
        ("CONFIGSVC_SET__billing__database", "1", "/billing/database: it must be an object"),
        ("CONFIGSVC_SET", "billing=1", "must have lines like"),
        ("CONFIGSVC_SET", "/billing/database/a", "must have lines like"),
    ],
)
def test_a_variable_without_a_place_is_refused_by_its_name(
    make_view: MakeView, monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigFileError, match=f"^{name}.*{message}"):
        make_view(env_overrides=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("billing = 1", "/billing: it must be an object of configurations"),
        ("billing.database = 1", "/billing/database: it must be an object"),
        ("billing", "is no TOML"),
    ],
)
def test_an_impossible_file_is_refused(
    make_view: MakeView, file: Path, content: str, message: str
) -> None:
    file.write_text(content)
    with pytest.raises(ConfigFileError, match=message):
        make_view(overrides=file)


def test_a_file_of_an_argument_may_be_missing(make_view: MakeView, tmp_path: Path) -> None:
    assert make_view(overrides=tmp_path / "missing.toml")["database"]["pool_size"] == 10


def test_a_file_of_the_variable_may_not_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGSVC_OVERRIDES", "missing.toml")
    with pytest.raises(ValueError, match=r"CONFIGSVC_OVERRIDES: there is no file 'missing\.toml'"):
        ConfigClient("http://server")


def test_the_variable_names_a_file(
    make_view: MakeView, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGSVC_OVERRIDES", str(file))
    assert make_view()["database"]["pool_size"] == 20


def test_what_is_overridden_is_logged_without_its_value(
    make_view: MakeView,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__password", "s3cret")
    make_view(overrides=file, env_overrides=True)
    assert (
        f"Overridden by the override file {file}: /billing/database/pool_size, /shop/database"
        in caplog.text
    )
    assert "CONFIGSVC_SET__billing__database__password: /billing/database/password" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_change_of_what_is_overridden_is_no_change(
    stub: StubServer, make_client: MakeClient, file: Path
) -> None:
    app = make_client(stub.url, overrides=file).application("billing")
    told: Queue[Any] = Queue()
    app.wait_until_ready()
    app.on_change(told.put)
    before = app["database"]
    stub.publish(database={"pool_size": 11})
    eventually(lambda: app.status().changes == 2)
    assert app["database"] is before
    stub.publish(database={"pool_size": 11, "host": "db2"})
    change = told.get(timeout=20)
    assert (change.old["database"], change.new["database"]) == (
        {"pool_size": 20},
        {"pool_size": 20, "host": "db2"},
    )


def test_the_server_is_asked_with_the_etag_of_what_it_sent(
    stub: StubServer, make_client: MakeClient, file: Path
) -> None:
    app = make_client(stub.url, overrides=file, long_poll=0, poll_interval=0.05)
    view = app.application("billing")
    view.wait_until_ready()
    eventually(lambda: view.status().polls >= 4)
    assert view.status().changes == 1
    assert stub.requests[-1][2]["If-None-Match"] == '"1"'


def test_overrides_apply_to_the_copy_on_disk_and_are_not_in_it(
    stub: StubServer, make_client: MakeClient, file: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = make_client(stub.url, overrides=file, cache_dir=cache).application("billing")
    first.wait_until_ready()
    eventually(lambda: list(cache.glob("*.snapshot")))
    first.close()
    stub.stop()
    over = make_client(stub.url, overrides=file, cache_dir=cache).application("billing")
    assert (over["database"]["pool_size"], over.status().source) == (20, "disk")
    plain = make_client(stub.url, cache_dir=cache).application("billing")
    assert (plain["database"]["pool_size"], plain.status().source) == (10, "disk")


def test_overrides_apply_to_the_fallback(
    stub: StubServer, make_client: MakeClient, file: Path
) -> None:
    stub.stop()
    fallback = {"billing": {"database": {"pool_size": 5}}}
    app = make_client(stub.url, overrides=file, fallback=fallback).application("billing")
    assert app["database"]["pool_size"] == 20


def test_an_application_that_is_given_by_id_has_the_overrides_of_its_name(
    stub: StubServer, make_client: MakeClient, file: Path
) -> None:
    app = make_client(stub.url, overrides=file).application("01K9YV5C7W3V0Y1Q3W6M8N2B4E")
    assert app["database"]["pool_size"] == 20
    assert app.status().overrides == 1


def test_overridden_values_are_read_only_too(make_view: MakeView, file: Path) -> None:
    database = make_view(overrides=file)["database"]
    assert isinstance(database, FrozenDict)
    with pytest.raises(TypeError, match="read-only"):
        database["pool_size"] = 1


def test_a_secret_that_is_marked_later_is_masked_beside_overrides(
    stub: StubServer, make_client: MakeClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.publish(database={"password": "hunter2"})
    app = make_client(stub.url, overrides=file).application("billing")
    assert app["database"] == {"password": "hunter2", "pool_size": 20}
    original = stub.body

    def body() -> bytes:
        document = json.loads(original())
        document["configurations"]["database"]["secrets"] = ["/password"]
        return json.dumps(document).encode()

    monkeypatch.setattr(stub, "body", body)
    app.refresh()
    assert app["database"]["password"] == "hunter2"
    assert "hunter2" not in repr(app["database"])
