"""A view beside what it was, what it was at a moment, and what other environments serve."""

from datetime import UTC, datetime

import pytest

from configsvc_client import (
    ConfigClient,
    Configuration,
    ConfigView,
    Environment,
    NotFoundError,
    ValidationError,
)
from tests.client.contract.conftest import Put
from tests.client.contract.running import live_only, subscribe


def test_diff_shows_the_last_change(app: ConfigView, put: Put) -> None:
    assert repr(app.diff()) == "no differences"
    before, next_change = app.snapshot(), subscribe(app)
    for size in (20, 30):
        put("database", {"pool_size": size})
        next_change()
    assert repr(app.diff()) == "~ /database/pool_size: 20 → 30"
    assert repr(app.diff(before)) == "~ /database/pool_size: 10 → 30"


# Other environments -----------------------------------------------------------------------


def test_diff_with_an_environment_shows_what_differs_there(
    client: ConfigClient, app: ConfigView, prod: Environment
) -> None:
    client.releases.promote("billing", "default", prod)
    client.configurations.update(
        client.configurations.find("billing", "database"),
        config={"pool_size": 20},
        overlays={"prod": {"host": "db1"}},
    )
    app.refresh()
    assert repr(app.diff(environment="prod")) == "~ /database/pool_size: 10 → 20"
    view = client.application("billing", environment="prod")
    assert repr(view.diff(environment="default")) == "~ /database/pool_size: 20 → 10"
    # Both sides have their own overlay in them.
    client.releases.promote("billing", "default", prod)
    assert repr(app.diff(environment="prod")) == "- /database/host: 'db1'"


def test_diff_with_an_environment_that_is_not_there_is_not_found(app: ConfigView) -> None:
    with pytest.raises(NotFoundError, match="environment 'nowhere'"):
        app.diff(environment="nowhere")


# Past moments -----------------------------------------------------------------------------


def test_a_past_moment_can_be_read(database: Configuration, app: ConfigView, put: Put) -> None:
    before = app.snapshot()
    changed = put("limits", {"n": 2})
    app.refresh()
    past = app.at(before.provenance("limits").updated_at)
    assert past["limits"] == {"n": 1, "hosts": ["a", "b"]}
    assert past.provenance("limits").version == 1
    assert past["database"] is app["database"]
    assert app.at(changed.updated_at) == app.snapshot()
    assert list(app.at(database.updated_at)) == ["database"]


def test_diff_with_a_moment_shows_what_has_changed_since(app: ConfigView, put: Put) -> None:
    then = put("database", {"pool_size": 20}).updated_at
    put("database", {"pool_size": 30})
    app.refresh()
    assert repr(app.diff(at=then)) == "~ /database/pool_size: 20 → 30"


def test_diff_takes_an_environment_and_a_moment_together(
    client: ConfigClient, database: Configuration, app: ConfigView, prod: Environment
) -> None:
    then = client.releases.release(database, prod).created_at
    client.releases.promote("billing", "default", prod)
    assert repr(app.diff(environment="prod", at=prod.created_at)).startswith("+ /database: ")
    assert repr(app.diff(environment="prod", at=then)).startswith("+ /limits: ")
    assert repr(app.diff(environment="prod")) == "no differences"


def test_an_environment_that_was_not_there_yet_is_not_found(
    client: ConfigClient, database: Configuration, app: ConfigView, prod: Environment
) -> None:
    with pytest.raises(NotFoundError, match="environment 'prod'"):
        app.diff(environment="prod", at=database.updated_at)


def test_what_an_environment_served_before_it_was_deleted_can_be_read(
    client: ConfigClient, app: ConfigView
) -> None:
    then = client.environments.create("billing", name="test").created_at
    client.environments.delete("billing", "test")
    again = client.environments.create("billing", name="test", auto_release=False)
    view = client.application("billing", environment="test")
    assert dict(view.at(then)) == dict(app)
    assert dict(view.at(again.created_at)) == dict(view) == {}


@live_only("The clock of the fake is not that of its users, so no moment is ahead of it.")
def test_a_moment_ahead_is_refused(app: ConfigView) -> None:
    with pytest.raises(ValidationError):
        app.at(datetime(2999, 1, 1, tzinfo=UTC))
