"""Objects bound to a configuration: made of it, and kept fresh while it fits."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pydantic
import pytest

from configsvc_client import BindError, Change, ConfigClient, ConfigView
from tests.client.contract.conftest import Put
from tests.client.contract.running import subscribe, threads_only
from tests.client.stub import eventually


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
    assert repr(bound) == "<Bound 'database': Database>"


def test_typeddicts_and_pydantic_models_can_be_bound(app: ConfigView, put: Put) -> None:
    as_dict, as_model = app.bind("database", DatabaseDict), app.bind("database", DatabaseModel)
    next_change = subscribe(app)
    put("database", {"pool_size": 20})
    next_change()
    assert as_dict.value["pool_size"] == as_model.value.pool_size == 20


def test_a_path_can_be_bound(app: ConfigView) -> None:
    assert app.bind("limits.hosts", list).value == ["a", "b"]


@threads_only("what stands before the async face makes another handle")
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
        ({"pool_size": "many"}, "/pool_size must be an integer, not a string"),
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


@threads_only("a validator can await nothing")
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


@pytest.mark.parametrize("kind", [AssertionError, KeyError, TypeError, RecursionError])
def test_a_binding_that_breaks_stops_nothing_else(
    app: ConfigView, put: Put, kind: type[Exception]
) -> None:
    broken = False

    @dataclass
    class Breaking:
        pool_size: int

        def __post_init__(self) -> None:
            if broken:
                raise kind("hunter2")

    first, breaking = app.bind("database", Database), app.bind("database", Breaking)
    last = app.bind("database", DatabaseModel)
    told: list[int] = []
    last.on_change(lambda _old, new: told.append(new.pool_size))
    next_change = subscribe(app)
    broken = True
    put("database", {"pool_size": 20})
    next_change()
    eventually(lambda: told == [20])
    assert (first.value.pool_size, breaking.value.pool_size, last.value.pool_size) == (20, 10, 20)
    assert list(app.status().rejected) == ["database"]
    assert "does not fit Breaking" in str(breaking.error)
    with pytest.raises(BindError):
        app.bind("database", Breaking, schema_defaults=True)

    broken = False
    # What was missed is tried again, although there is nothing new.
    app.refresh()
    assert breaking.value.pool_size == 20
    assert not app.status().rejected


def test_callbacks_of_a_bound_object_get_accepted_objects(app: ConfigView, put: Put) -> None:
    bound, told = app.bind("database", Database), list[tuple[int, int]]()
    next_change = subscribe(app)
    subscription = bound.on_change(
        lambda old, new: told.append((old.pool_size, new.pool_size)), call_now=True
    )
    assert told == [(10, 10)]
    for config in ({"pool_size": 0}, {"pool_size": 20}):
        put("database", config)
        next_change()
    put("limits", {"n": 2})
    next_change()
    eventually(lambda: told == [(10, 10), (10, 20)])
    subscription.cancel()
    put("database", {"pool_size": 30})
    next_change()
    assert bound.value.pool_size == 30
    assert told == [(10, 10), (10, 20)]


@threads_only("a callback on the loop can not wait for it")
def test_a_callback_finds_snapshot_and_all_bound_objects_in_place(
    app: ConfigView, put: Put
) -> None:
    first, last = app.bind("database", Database), app.bind("database", DatabaseModel)
    found: list[tuple[int, int, int]] = []
    first.on_change(
        lambda _old, new: found.append(
            (new.pool_size, last.value.pool_size, app["database"]["pool_size"])
        )
    )
    put("database", {"pool_size": 20})
    eventually(lambda: found == [(20, 20, 20)])


def test_unknown_members_are_ignored_unless_asked_otherwise(app: ConfigView, put: Put) -> None:
    plain, strict = app.bind("database", Database), app.bind("database", Database, strict=True)
    next_change = subscribe(app)
    put("database", {"pool_size": 20, "pol_size": 30})
    next_change()
    assert (plain.value.pool_size, strict.value.pool_size) == (20, 10)
    assert "/pol_size is unknown" in str(strict.error)


def test_special_forms_can_be_bound(app: ConfigView) -> None:
    limit: Any = Annotated[int, Unhashable()]
    assert app.bind("database.pool_size", int | None).value == 10
    assert app.bind("database.pool_size", Literal[10, 20]).value == 10
    assert app.bind("database.pool_size", limit).value == 10


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


def test_what_is_logged_of_a_change_has_no_values(app: ConfigView, put: Put) -> None:
    changes: list[Change] = []
    app.on_change(changes.append, "database.pool_size")
    app.on_change(changes.append)
    put("database", {"pool_size": 23456})
    eventually(lambda: len(changes) == 2)
    assert [repr(change) for change in changes] == [
        "<Change of 'database.pool_size': database>",
        "<Change of everything: database>",
    ]
