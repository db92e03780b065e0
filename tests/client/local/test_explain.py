"""Explanations of where values come from."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import Explanation, NotReadyError
from configsvc_client.testing import FakeConfigClient
from tests.client.conftest import MakeClient
from tests.client.local.conftest import MakeView
from tests.client.stub import StubServer

FALLBACK = {"billing": {"database": {"pool_size": 5, "port": 1}}}


def shown(explanation: Explanation) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "<time>", repr(explanation))


@pytest.fixture
def everything(
    stub: StubServer, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A view with all layers, and the name of its override file."""
    stub.publish(database={"pool_size": 10, "host": "db1", "timeout": 3, "tags": ["a", "b"]})
    stub.defaults = {"database": {"/pool_size": 8, "/retries": 2}}
    file = tmp_path / "local.json"
    file.write_text('{"billing": {"database": {"pool_size": 20, "timeout": null}}}')
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__pool_size", "30")
    app = make_client(stub.url, overrides=file, env_overrides=True, fallback=FALLBACK).application(
        "billing"
    )
    app.wait_until_ready()
    return app, file


def test_a_value_is_explained_with_all_that_it_hides(everything: Any) -> None:
    app, file = everything
    assert shown(app.explain("database.pool_size")) == (
        "/database/pool_size: 30\n"
        "  from the variable: CONFIGSVC_SET__billing__database__pool_size\n"
        f"  hides 20 from the override file: {file}\n"
        "  hides 10 from the server: version 2 of <time> UTC\n"
        "  hides 5 from the fallback\n"
        "  hides 8 from the default of the schema"
    )


def test_its_members_can_be_read(everything: Any) -> None:
    app, _ = everything
    found = app.explain("/database/pool_size")
    assert (found.path, found.value, found.source) == ("/database/pool_size", 30, "variable")
    assert [(other.source, other.value) for other in found.hidden] == [
        ("override file", 20),
        ("server", 10),
        ("fallback", 5),
        ("schema default", 8),
    ]


def test_a_value_that_is_removed_is_explained(everything: Any) -> None:
    app, file = everything
    assert shown(app.explain("database.timeout")) == (
        "/database/timeout: nothing\n"
        f"  removed by the override file: {file}\n"
        "  hides 3 from the server: version 2 of <time> UTC"
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("database.host", "/database/host: 'db1'\n  from the server: version 2 of <time> UTC"),
        ("database.tags.1", "/database/tags/1: 'b'\n  from the server: version 2 of <time> UTC"),
        (
            "database.tags",
            "/database/tags: an array of 2\n  from the server: version 2 of <time> UTC",
        ),
        ("database.retries", "/database/retries: 2\n  from the default of the schema"),
        ("database.port", "/database/port: nothing\n  hides 1 from the fallback"),
        ("database.nothing", "/database/nothing: nothing"),
        ("nothing", "/nothing: nothing"),
    ],
)
def test_every_other_source_is_named(everything: Any, path: str, expected: str) -> None:
    app, _ = everything
    assert shown(app.explain(path)) == expected


def test_an_object_is_explained_with_its_parts_from_elsewhere(everything: Any) -> None:
    app, file = everything
    assert shown(app.explain("database")) == (
        "/database: an object of 3\n"
        "  from the server: version 2 of <time> UTC\n"
        "  hides an object of 2 from the fallback\n"
        "  /database/pool_size: 30\n"
        "    from the variable: CONFIGSVC_SET__billing__database__pool_size\n"
        f"    hides 20 from the override file: {file}\n"
        "    hides 10 from the server: version 2 of <time> UTC\n"
        "    hides 5 from the fallback\n"
        "    hides 8 from the default of the schema\n"
        "  /database/timeout: nothing\n"
        f"    removed by the override file: {file}\n"
        "    hides 3 from the server: version 2 of <time> UTC"
    )


def test_files_are_named_with_overlays_over_them(folder: Path, make_view: MakeView) -> None:
    (folder / "billing" / "prod").mkdir()
    overlay = folder / "billing" / "prod" / "database.yaml"
    overlay.write_text("pool_size: 50")
    app = make_view("prod")
    app.wait_until_ready()
    base = folder / "billing" / "database.json"
    assert repr(app.explain("database.pool_size")) == (
        f"/database/pool_size: 50\n  from the file: {overlay}\n  hides 10 from the file: {base}"
    )
    assert repr(app.explain("database.host")) == f"/database/host: 'db1'\n  from the file: {base}"


def test_a_removal_by_an_overlay_is_no_null(folder: Path, make_view: MakeView) -> None:
    base = folder / "billing" / "database.json"
    base.write_text('{"host": "db1", "proxy": null}')
    (folder / "billing" / "prod").mkdir()
    overlay = folder / "billing" / "prod" / "database.yaml"
    overlay.write_text("host: null")
    app = make_view("prod")
    app.wait_until_ready()
    assert repr(app.explain("database.host")) == (
        f"/database/host: nothing\n  removed by the file: {overlay}\n"
        f"  hides 'db1' from the file: {base}"
    )
    assert repr(app.explain("database.proxy")) == f"/database/proxy: None\n  from the file: {base}"
    assert app.explain("database.proxy").exists
    assert not app.explain("database.host").exists


def test_a_removal_that_is_hidden_is_named(
    folder: Path, make_view: MakeView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "local.json"
    file.write_text('{"billing": {"database": {"host": null}}}')
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__host", "db2")
    app = make_view(overrides=file, env_overrides=True)
    app.wait_until_ready()
    assert f"hides its removal by the override file: {file}" in repr(app.explain("database.host"))


def test_the_fallback_is_named(stub: StubServer, make_client: MakeClient) -> None:
    stub.stop()
    app = make_client(stub.url, fallback=FALLBACK).application("billing")
    app.wait_until_ready()
    assert repr(app.explain("database.port")) == "/database/port: 1\n  from the fallback"


def test_the_copy_on_disk_is_named(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    first = make_client(stub.url, cache_dir=tmp_path).application("billing")
    first.refresh()
    first.close()
    stub.stop()
    app = make_client(stub.url, cache_dir=tmp_path).application("billing")
    app.wait_until_ready()
    assert "from the copy on disk: version 1 of" in repr(app.explain("database.pool_size"))


def test_it_is_never_a_request(stub: StubServer, make_client: MakeClient) -> None:
    app = make_client(stub.url).application("billing")
    with pytest.raises(NotReadyError, match="to explain yet"):
        app.explain("database")
    assert stub.requests == []


def test_the_fake_explains_too() -> None:
    client = FakeConfigClient({"billing": {"database": {"pool_size": 10}}})
    app = client.application("billing")
    app.wait_until_ready()
    assert app.explain("database.pool_size").source == "server"


def test_a_secret_is_masked_in_every_layer(
    stub: StubServer, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.publish(database={"login": {"password": "hunter1"}})
    stub.defaults = {"database": {"/login/password": "hunter2"}}
    original = stub.body

    def body() -> bytes:
        document = json.loads(original())
        document["configurations"]["database"]["secrets"] = ["/login"]
        return json.dumps(document).encode()

    monkeypatch.setattr(stub, "body", body)
    file = tmp_path / "local.json"
    file.write_text('{"billing": {"database": {"login": {"password": "hunter3"}}}}')
    monkeypatch.setenv("CONFIGSVC_SET__billing__database__login__password", "hunter4")
    app = make_client(
        stub.url,
        overrides=file,
        env_overrides=True,
        fallback={"billing": {"database": {"login": {"password": "hunter5"}}}},
    ).application("billing")
    assert app.get("database.login.password") == "hunter4"
    explanation = app.explain("database.login.password")
    assert [other.value for other in (explanation, *explanation.hidden)] == [
        "hunter4",
        "hunter3",
        "hunter1",
        "hunter5",
        "hunter2",
    ]
    for text in (
        repr(explanation),
        repr(explanation.hidden),
        repr(app.explain("database")),
        repr(app["database"]),
    ):
        assert "hunter" not in text
