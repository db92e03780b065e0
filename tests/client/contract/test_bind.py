"""Objects bound to a configuration: made of it, and kept fresh while it fits."""

from dataclasses import dataclass
from typing import Any, TypedDict

import pydantic
import pytest

from configsvc_client import BindError, ConfigClient, ConfigView
from tests.client.contract.conftest import Put
from tests.client.contract.running import subscribe


@dataclass(frozen=True)
class Database:
    pool_size: int
    host: str = "localhost"

    def __post_init__(self) -> None:
        if self.pool_size < 1:
            raise ValueError("pool_size must be positive")


class DatabaseDict(TypedDict):
    pool_size: int


class DatabaseModel(pydantic.BaseModel):
    pool_size: int


def test_a_bound_dataclass_stays_fresh(app: ConfigView, put: Put) -> None:
    bound, next_change = app.bind("database", Database), subscribe(app)
    before = bound.value
    assert before == Database(10)
    put("database", {"pool_size": 20, "host": "db1"})
    next_change()
    assert bound.value == Database(20, "db1")
    assert before == Database(10)
    assert repr(bound) == "<Bound 'database': Database(pool_size=20, host='db1')>"


def test_typeddicts_and_pydantic_models_can_be_bound(app: ConfigView, put: Put) -> None:
    as_dict, as_model = app.bind("database", DatabaseDict), app.bind("database", DatabaseModel)
    next_change = subscribe(app)
    put("database", {"pool_size": 20})
    next_change()
    assert as_dict.value["pool_size"] == as_model.value.pool_size == 20


def test_a_path_can_be_bound(app: ConfigView) -> None:
    assert app.bind("limits.hosts", list).value == ["a", "b"]


def test_the_same_object_is_bound_every_time(app: ConfigView) -> None:
    assert app.bind("database", Database) is app.bind("database", Database)


def test_the_object_stays_while_its_configuration_does(app: ConfigView, put: Put) -> None:
    bound, next_change = app.bind("database", Database), subscribe(app)
    before = bound.value
    put("limits", {"n": 2})
    next_change()
    assert bound.value is before


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"pool_size": "many"}, "/pool_size must be an integer, not 'many'"),
        ({"pool_size": 0}, "pool_size must be positive"),
        ({}, "/pool_size is missing"),
    ],
)
def test_a_document_that_does_not_fit_is_rejected_and_reported(
    app: ConfigView,
    put: Put,
    caplog: pytest.LogCaptureFixture,
    config: dict[str, Any],
    reason: str,
) -> None:
    bound, next_change = app.bind("database", Database), subscribe(app)
    put("database", config)
    next_change()
    put("limits", {"n": 2})
    next_change()
    assert bound.value == Database(10)
    assert reason in str(bound.error)
    assert reason in app.status().rejected["database"]
    assert reason in repr(app.status())
    assert "newest rejected" in repr(bound)
    assert len(caplog.records) == 1

    put("database", {"pool_size": 30})
    next_change()
    assert bound.value == Database(30)
    assert bound.error is None
    assert not app.status().rejected


def test_a_configuration_that_goes_away_leaves_the_object(
    client: ConfigClient, app: ConfigView
) -> None:
    bound, next_change = app.bind("database", Database), subscribe(app)
    client.configurations.delete(client.configurations.find("billing", "database"))
    next_change()
    assert bound.value == Database(10)
    assert "There is no 'database'" in str(bound.error)


@pytest.mark.parametrize("path", ["nothing", "limits"])
def test_what_does_not_fit_at_first_is_an_error(app: ConfigView, path: str) -> None:
    with pytest.raises(BindError, match=path):
        app.bind(path, Database)
    assert not app.status().rejected


def test_a_validator_that_reads_the_view_does_not_block(app: ConfigView, put: Put) -> None:
    @dataclass
    class Reader:
        pool_size: int

        def __post_init__(self) -> None:
            self.seen = app["database"]["pool_size"]
            app.refresh()

    bound, next_change = app.bind("database", Reader), subscribe(app)
    put("database", {"pool_size": 20})
    next_change()
    assert bound.value.seen == 20
