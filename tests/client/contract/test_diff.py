"""Differences between versions, environments and documents of a configuration."""

import copy

import jsonpatch
import pytest

from configsvc_client import (
    Application,
    ConfigClient,
    Configuration,
    DiffSide,
    Environment,
    NotFoundError,
    ValidationError,
)


def test_the_newest_version_is_compared_with_the_one_before(
    client: ConfigClient, grown: Configuration
) -> None:
    found = client.configurations.diff(grown)
    assert found.configuration_id == grown.id
    assert repr(found) == "version 2 → version 3\n~ /config/pool_size: 20 → 30"
    assert found.patch == ({"op": "replace", "path": "/config/pool_size", "value": 30},)


def test_any_two_versions_are_compared(client: ConfigClient, grown: Configuration) -> None:
    assert repr(client.configurations.diff(grown, 1, 3)) == (
        "version 1 → version 3\n~ /config/pool_size: 10 → 30"
    )
    assert repr(client.configurations.diff(grown, 3, 1)) == (
        "version 3 → version 1\n~ /config/pool_size: 30 → 10"
    )
    assert not client.configurations.diff(grown, 2, 2).changes


def test_the_first_version_came_out_of_nothing(client: ConfigClient, grown: Configuration) -> None:
    first = client.configurations.diff(grown, to=1)
    assert first.from_ == DiffSide(None, None)
    assert {change.kind for change in first.changes} == {"added"}
    assert {change.path for change in first.changes} == {
        "/name",
        "/comments",
        "/config",
        "/overlays",
        "/schema",
    }


def test_versions_are_compared_as_an_environment_would_get_them(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.configurations.update(
        database, config={"pool_size": 20}, overlays={"prod": {"pool_size": 50}}
    )
    found = client.configurations.diff(database, environment=prod)
    assert repr(found) == "version 1 in 'prod' → version 2 in 'prod'\n~ /config/pool_size: 10 → 50"
    assert not client.configurations.diff(database, 2, environment="default", to=2).changes


def test_what_an_environment_serves_is_compared_with_the_newest_version(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.releases.release(database, prod)
    client.configurations.update(
        database, config={"pool_size": 20}, overlays={"prod": {"pool_size": 50}}
    )
    found = client.configurations.diff(database, from_environment=prod)
    assert repr(found) == (
        "version 1 in 'prod' → version 2 in 'prod'\n~ /config/pool_size: 10 → 50"
    )


def test_what_two_environments_serve_is_compared(
    client: ConfigClient, grown: Configuration, prod: Environment
) -> None:
    client.releases.release(grown, "prod", version=1)
    found = client.configurations.diff(grown, from_environment="prod", to_environment="default")
    assert repr(found) == (
        "version 1 in 'prod' → version 3 in 'default'\n~ /config/pool_size: 10 → 30"
    )


def test_an_environment_that_serves_nothing_is_compared_as_nothing(
    client: ConfigClient, grown: Configuration, prod: Environment
) -> None:
    first = client.configurations.diff(grown, from_environment="prod")
    assert first.from_ == DiffSide(None, "prod")
    assert {change.kind for change in first.changes} == {"added"}


def test_a_document_is_compared_without_being_written(
    client: ConfigClient, grown: Configuration
) -> None:
    document = {"name": "database", "config": {"pool_size": 40}}
    proposed = client.configurations.diff(grown, document=document)
    assert repr(proposed.changes) == "~ /config/pool_size: 30 → 40"
    assert (proposed.from_.version, proposed.to.version) == (3, None)
    assert client.configurations.get(grown) == grown


def test_a_document_is_compared_as_an_environment_would_get_it(
    client: ConfigClient, grown: Configuration, prod: Environment
) -> None:
    document = {
        "name": "database",
        "config": {"pool_size": 30},
        "overlays": {"prod": {"pool_size": 40}},
    }
    found = client.configurations.diff(grown, environment="prod", document=document)
    assert repr(found.changes) == "~ /config/pool_size: 30 → 40"


def test_the_patch_makes_the_one_version_of_the_other(
    client: ConfigClient, billing: Application
) -> None:
    old = {"hosts": ["a", "b", "c"], "gone": {"x": 1}, "a/b": 1, "n": 1}
    new = {"hosts": ["a", "c", "d", {}], "came": None, "a/b": {"~": [True]}, "n": 1.0}
    made = client.configurations.create(billing, name="database", config=old)
    client.configurations.replace(made, name="database", config=new)
    patch = copy.deepcopy([dict(operation) for operation in client.configurations.diff(made).patch])
    patched = jsonpatch.apply_patch({"config": old}, patch)
    assert repr(patched["config"]) == repr({name: new[name] for name in patched["config"]})
    assert patched["config"].keys() == new.keys()


@pytest.mark.parametrize(
    ("sides", "pointer"),
    [
        ({"from_": 9}, "/from"),
        ({"to": 9}, "/to"),
        ({"environment": "nowhere"}, "/environment"),
        ({"from_environment": "nowhere"}, "/from_environment"),
        ({"to_environment": "nowhere"}, "/to_environment"),
    ],
)
def test_a_side_that_is_not_there_is_refused(
    client: ConfigClient, database: Configuration, sides: dict[str, object], pointer: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        client.configurations.diff(database, **sides)  # type: ignore[call-overload]
    assert [problem.pointer for problem in caught.value.errors] == [pointer]


def test_what_never_was_is_not_found(client: ConfigClient) -> None:
    with pytest.raises(NotFoundError):
        client.configurations.diff("01K9YV5C7W3V0Y1Q3W6M8N2B4D")
