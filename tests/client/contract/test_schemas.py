"""JSON Schemas of configurations: kept to, wherever they are served."""

from dataclasses import dataclass

import pytest

from configsvc_client import (
    ConfigClient,
    Configuration,
    ConfigView,
    Environment,
    ValidationError,
)
from tests.client.contract.running import live_only
from tests.client.stub import eventually

SCHEMA = {
    "type": "object",
    "properties": {"pool_size": {"type": "integer", "maximum": 100}, "timeout": {"default": 2.5}},
}

over_a_server_that_checks = live_only("The fake keeps schemas, and checks nothing by them.")
over_a_server_that_sends_defaults = live_only("The fake does not send the defaults of schemas.")


@dataclass(frozen=True)
class Database:
    pool_size: int
    timeout: float = 1.0


@pytest.fixture
def checked(client: ConfigClient, database: Configuration) -> Configuration:
    """``database`` with a schema."""
    return client.configurations.update(database, schema=SCHEMA)


def test_a_schema_is_merged_removed_and_kept_in_the_history(
    client: ConfigClient, checked: Configuration
) -> None:
    assert checked.schema == SCHEMA
    merged = client.configurations.update(checked, schema={"type": None, "title": "Database"})
    assert merged.schema == {"properties": SCHEMA["properties"], "title": "Database"}
    assert client.configurations.update(merged, schema=None).schema is None
    schemas = [revision.schema for revision in client.configurations.history(checked)]
    assert schemas == [None, SCHEMA, merged.schema, None]


@over_a_server_that_checks
def test_what_breaks_the_schema_is_refused_and_told_by_environment(
    client: ConfigClient, checked: Configuration, prod: Environment
) -> None:
    with pytest.raises(ValidationError) as caught:
        client.configurations.update(checked, overlays={"prod": {"pool_size": 500}})
    (problem,) = caught.value.errors
    assert problem.pointer == "/overlays/prod/pool_size"
    assert problem.schema_pointer == "/properties/pool_size/maximum"
    assert problem.environments == ("prod",)


@over_a_server_that_checks
def test_validation_finds_what_breaks_the_schema(
    client: ConfigClient, database: Configuration
) -> None:
    with pytest.raises(ValidationError):
        client.configurations.validate(
            "billing", name="other", config={"pool_size": "x"}, schema=SCHEMA
        )


def test_validation_passes_what_meets_the_schema(
    client: ConfigClient, checked: Configuration, prod: Environment
) -> None:
    found = client.configurations.validate(
        "billing", name="database", config={"pool_size": 5}, configuration=checked
    )
    assert found.environments == {"default": {"pool_size": 5}, "prod": {"pool_size": 5}}


@over_a_server_that_sends_defaults
def test_the_defaults_of_the_schema_fill_a_bound_object_that_wants_them(
    client: ConfigClient, app: ConfigView
) -> None:
    bound = app.bind("database", Database, schema_defaults=True)
    client.configurations.update(client.configurations.find("billing", "database"), schema=SCHEMA)
    # The values of the view stay as they are, so no callback tells of it.
    eventually(lambda: bound.value == Database(10, 2.5))
    assert app.bind("database", Database).value == Database(10, 1.0)
