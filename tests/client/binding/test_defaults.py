"""The defaults of schemas, filled into what a configuration lacks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from configsvc_client._binding.binding import Binding
from configsvc_client._binding.defaults import filled
from configsvc_client._values.frozen import FrozenDict, freeze
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import read_snapshot
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, eventually


@dataclass(frozen=True)
class Pool:
    size: int
    timeout: float = 1.5


@dataclass(frozen=True)
class Database:
    pool: Pool
    host: str = "localhost"


def snapshot(config: Any, defaults: Any = None, previous: Snapshot | None = None) -> Snapshot:
    entry = {"id": "1", "version": 1, "updated_at": "2026-11-24T08:00:00Z", "config": config}
    if defaults is not None:
        entry["defaults"] = defaults
    document = {"application_id": "2", "application": "billing", "environment": "default"}
    body = json.dumps({**document, "configurations": {"database": entry}}).encode()
    return read_snapshot(body, '"e"', previous=previous)


def bound(
    subject: Snapshot, path: str, model: type[Any], *, schema_defaults: bool = True
) -> Binding[Any]:
    return Binding(path, model, subject, schema_defaults=schema_defaults)


@pytest.mark.parametrize(
    ("config", "defaults", "expected"),
    [
        ({}, {"/a": 1}, {"a": 1}),
        ({"a": 2}, {"/a": 1}, {"a": 2}),
        ({"a": None}, {"/a": 1}, {"a": None}),
        ({"a": {}}, {"/a/b": 1}, {"a": {"b": 1}}),
        ({}, {"/a": {}, "/a/b": 1}, {"a": {"b": 1}}),
        ({}, {"/a": {"b": 2}, "/a/b": 1}, {"a": {"b": 2}}),
        ({}, {"/a/b": 1}, {}),
        ({"a": [1]}, {"/a/0": 2}, {"a": [1]}),
        ({"a": 1}, {"/a/b": 2}, {"a": 1}),
        ({}, {"/a~1b/c": 1, "/x~0y": 2}, {"x~y": 2}),
        ({"a/b": {}}, {"/a~1b/c": 1}, {"a/b": {"c": 1}}),
    ],
)
def test_what_is_missing_is_filled_where_there_is_an_object_for_it(
    config: Any, defaults: Any, expected: Any
) -> None:
    assert filled(freeze(config), freeze(defaults)) == expected


def test_filling_changes_nothing_but_what_it_returns() -> None:
    config, defaults = freeze({"a": {}}), freeze({"/a/b": {"c": 1}, "/a/b/d": 2})
    result = filled(config, defaults)
    assert (config, defaults["/a/b"]) == ({"a": {}}, {"c": 1})
    assert isinstance(result["a"], FrozenDict)


def test_a_snapshot_has_the_defaults_and_leaves_them_out_of_the_values() -> None:
    subject = snapshot({}, {"/a": 1})
    assert subject.defaults("database") == {"/a": 1}
    assert subject["database"] == {}
    assert snapshot({}).defaults("database") == {}
    with pytest.raises(KeyError, match="nothing"):
        subject.defaults("nothing")


def test_equal_defaults_are_shared_between_snapshots() -> None:
    old = snapshot({}, {"/a": [1]})
    new = snapshot({}, {"/a": [1]}, previous=old)
    assert new.defaults("database") is old.defaults("database")


@pytest.mark.parametrize("defaults", [1, [1], {"a": 1}])
def test_what_are_no_defaults_is_refused(defaults: Any) -> None:
    with pytest.raises(ValueError, match="is no snapshot"):
        snapshot({}, defaults)


def test_defaults_are_filled_only_if_asked_for() -> None:
    subject = snapshot({"pool": {"size": 1}}, {"/host": "db1"})
    assert bound(subject, "database", Database).value.host == "db1"
    without = bound(subject, "database", Database, schema_defaults=False)
    assert without.value.host == "localhost"


@pytest.mark.parametrize(
    ("path", "model", "expected"),
    [
        ("database", Database, Database(Pool(5))),
        ("database.pool", Pool, Pool(5)),
        ("database.pool.size", int, 5),
        ("/database/pool/size", int, 5),
        ("database", dict, {"pool": {"size": 5}}),
    ],
)
def test_a_path_into_a_configuration_can_be_bound(path: str, model: Any, expected: Any) -> None:
    subject = snapshot({}, {"/pool": {}, "/pool/size": 5})
    assert bound(subject, path, model).value == expected


def test_later_snapshots_are_filled_too() -> None:
    first = snapshot({"pool": {"size": 1}}, {"/pool/timeout": 2})
    subject = bound(first, "database", Database)
    subject.follow(snapshot({"pool": {"size": 3}}, {"/pool/timeout": 4}, first))
    assert subject.value.pool == Pool(3, 4)


def test_another_default_is_another_value() -> None:
    first = snapshot({"pool": {"size": 1}}, {"/pool/timeout": 2})
    subject = bound(first, "database", Database)
    subject.follow(snapshot({"pool": {"size": 1}}, {"/pool/timeout": 3}, first))
    assert subject.value.pool.timeout == 3


def test_a_default_of_a_secret_is_masked() -> None:
    entry = {"config": {}, "defaults": {"/host": "hunter2"}, "secrets": ["/host"]}
    facts = {"id": "1", "version": 1, "updated_at": "2026-11-24T08:00:00Z"}
    document = {"application_id": "2", "application": "billing", "environment": "default"}
    body = json.dumps({**document, "configurations": {"database": {**facts, **entry}}}).encode()
    subject = bound(read_snapshot(body, None), "database", dict)
    assert subject.value == {"host": "hunter2"}
    assert "hunter2" not in repr(subject.value)


def test_the_object_stays_while_configuration_and_defaults_do() -> None:
    first = snapshot({"pool": {"size": 1}}, {"/pool/timeout": 2})
    subject = bound(first, "database", Database)
    before = subject.value
    subject.follow(snapshot({"pool": {"size": 1}}, {"/pool/timeout": 2}, first))
    assert subject.value is before


def test_a_configuration_that_goes_away_leaves_the_object() -> None:
    first = snapshot({"pool": {"size": 1}})
    subject = bound(first, "database", Database)
    empty = json.loads('{"application_id": "2", "application": "b", "environment": "d"}')
    body = json.dumps({**empty, "configurations": {}}).encode()
    subject.follow(read_snapshot(body, '"f"'))
    assert subject.value == Database(Pool(1))
    assert "There is no 'database'" in str(subject.error)


def test_defaults_come_by_poll_and_from_the_disk(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    stub.defaults = {"database": {"/timeout": 2.5}}
    view = make_client(stub.url, cache_dir=tmp_path).application("billing")
    asked = view.bind("database", dict, schema_defaults=True)
    assert asked.value == {"pool_size": 10, "timeout": 2.5}
    assert view.bind("database", dict).value == {"pool_size": 10}

    stub.defaults = {"database": {"/timeout": 3.5}}
    stub.publish(database={"pool_size": 10})
    eventually(lambda: asked.value["timeout"] == 3.5)
    eventually(lambda: b"3.5" in next(tmp_path.glob("*.snapshot")).read_bytes())
    stub.stop()
    later = make_client(stub.url, cache_dir=tmp_path).application("billing")
    assert later.bind("database", dict, schema_defaults=True).value["timeout"] == 3.5
    assert later.status().source == "disk"
