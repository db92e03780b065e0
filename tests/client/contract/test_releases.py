"""Releases: what an environment serves is moved, taken back, promoted, and remembered."""

import pytest

from configsvc_client import (
    ConfigClient,
    Configuration,
    ConflictError,
    Environment,
    NotFoundError,
    ValidationError,
)
from tests.client.contract.conftest import Served
from tests.client.contract.running import subscribe


def test_a_version_is_released(
    client: ConfigClient, grown: Configuration, prod: Environment, served: Served
) -> None:
    made = client.releases.release(grown, prod, version=1, message="tested")
    assert (made.configuration_id, made.application_id) == (grown.id, grown.application_id)
    assert (made.name, made.environment, made.message) == ("database", "prod", "tested")
    assert (made.previous_version, made.version) == (None, 1)
    assert served("prod") == {"database": {"pool_size": 10}}


def test_without_a_version_the_newest_is_released(
    client: ConfigClient, database: Configuration, grown: Configuration, prod: Environment
) -> None:
    client.releases.release(database, "prod", version=1)
    made = client.releases.release(database, "prod")
    assert (made.previous_version, made.version) == (1, 3)


def test_releasing_the_same_again_changes_nothing(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    made = client.releases.release(database, prod)
    assert client.releases.release(database, prod, message="again") == made
    assert list(client.releases.list(database, environment=prod)) == [made]


def test_an_environment_serves_its_overlay(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    client.configurations.update(database, overlays={"prod": {"pool_size": 50}})
    client.releases.release(database, "prod")
    assert served("default") == {"database": {"pool_size": 10}}
    assert served("prod") == {"database": {"pool_size": 50}}


def test_a_new_version_is_served_where_releases_go_by_themselves(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    client.releases.release(database, "prod")
    client.configurations.update(database, config={"pool_size": 20})
    assert served("default") == {"database": {"pool_size": 20}}
    assert served("prod") == {"database": {"pool_size": 10}}


def test_a_release_reaches_the_views_of_its_environment(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    view = client.application("billing", environment="prod")
    view.wait_until_ready()
    next_change = subscribe(view)
    assert "database" not in view
    client.releases.release(database, prod)
    assert next_change().configurations == ("database",)
    assert view.get("database.pool_size") == 10
    client.releases.withdraw(database, prod)
    assert next_change().configurations == ("database",)
    assert "database" not in view


def test_a_configuration_is_withdrawn(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    client.releases.release(database, "prod")
    made = client.releases.withdraw(database, "prod", message="too early")
    assert (made.previous_version, made.version, made.message) == (1, None, "too early")
    assert served("prod") == {}
    with pytest.raises(ConflictError, match="does not serve"):
        client.releases.withdraw(database, "prod")


# Lists ------------------------------------------------------------------------------------


def test_every_release_is_remembered(
    client: ConfigClient, grown: Configuration, prod: Environment
) -> None:
    client.releases.release(grown, prod, version=1)
    client.releases.release(grown, prod)
    client.releases.withdraw(grown, prod)
    in_prod = client.releases.list(grown, environment=prod)
    assert [release.version for release in in_prod] == [1, 3, None]
    newest_first = client.releases.list(grown, environment="prod", newest_first=True)
    assert [release.version for release in newest_first] == [None, 3, 1]
    everywhere = list(client.releases.list(grown, page_size=2))
    assert [release.environment for release in everywhere] == ["default"] * 3 + ["prod"] * 3


def test_a_later_release_has_a_larger_id(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.environments.create("billing", name="test")
    client.configurations.update(database, config={"pool_size": 20})
    client.releases.release(database, prod)
    ids = [release.id for release in client.releases.list(database)]
    assert len(ids) == 5
    assert ids == sorted(set(ids))


def test_the_releases_in_force_tell_what_environments_serve(
    client: ConfigClient, grown: Configuration, prod: Environment
) -> None:
    client.releases.release(grown, prod, version=2)
    client.configurations.update(grown, config={"pool_size": 40})
    now = client.releases.list(grown, current=True)
    assert [(release.environment, release.version) for release in now] == [
        ("prod", 2),
        ("default", 4),
    ]
    (in_prod,) = client.releases.list(grown, environment=prod, current=True)
    assert in_prod.version == 2


def test_the_releases_of_an_environment_end_with_it(
    client: ConfigClient, database: Configuration, served: Served
) -> None:
    client.environments.create("billing", name="test")
    client.environments.delete("billing", "test")
    past = client.releases.list(database, environment="test")
    assert [release.version for release in past] == [1]
    client.environments.create("billing", name="test", auto_release=False)
    assert served("test") == {}
    assert not list(client.releases.list(database, environment="test", current=True))
    with pytest.raises(ConflictError, match="nothing before"):
        client.releases.rollback(database, "test")


def test_a_deleted_configuration_was_withdrawn_everywhere(
    client: ConfigClient, database: Configuration
) -> None:
    client.configurations.delete(database, message="no more")
    *_, last = client.releases.list(database)
    assert (last.environment, last.version, last.message) == ("default", None, "no more")


# Back -------------------------------------------------------------------------------------


def test_releases_are_rolled_back_one_by_one(
    client: ConfigClient, grown: Configuration, prod: Environment, served: Served
) -> None:
    for version in (1, 2, 3):
        client.releases.release(grown, "prod", version=version)
    back = client.releases.rollback(grown, "prod", message="slow")
    assert (back.previous_version, back.version, back.message) == (3, 2, "slow")
    assert client.releases.rollback(grown, "prod").version == 1
    with pytest.raises(ConflictError, match="nothing before"):
        client.releases.rollback(grown, "prod")
    assert served("prod") == {"database": {"pool_size": 10}}
    assert client.configurations.get(grown) == grown


def test_a_release_after_a_rollback_is_rolled_back_to_what_that_had_brought_back(
    client: ConfigClient, grown: Configuration, prod: Environment
) -> None:
    for version in (1, 2, 3):
        client.releases.release(grown, "prod", version=version)
    client.releases.rollback(grown, "prod")
    client.releases.release(grown, "prod", version=3)
    assert client.releases.rollback(grown, "prod").version == 2
    assert client.releases.rollback(grown, "prod").version == 1


def test_a_rollback_goes_back_to_a_version_and_not_to_nothing(
    client: ConfigClient, grown: Configuration, prod: Environment, served: Served
) -> None:
    client.releases.release(grown, "prod", version=1)
    client.releases.withdraw(grown, "prod")
    client.releases.release(grown, "prod", version=2)
    assert client.releases.rollback(grown, "prod").version == 1
    client.releases.withdraw(grown, "prod")
    assert client.releases.rollback(grown, "prod").version == 1
    assert served("prod") == {"database": {"pool_size": 10}}


# Promotion --------------------------------------------------------------------------------


def test_promotion_releases_what_differs(
    client: ConfigClient,
    database: Configuration,
    limits: Configuration,
    prod: Environment,
    served: Served,
) -> None:
    client.releases.release(database, "prod")
    made = client.releases.promote("billing", "default", prod, message="release 12")
    assert (made.from_, made.to) == ("default", "prod")
    assert [release.name for release in made.released] == ["limits"]
    assert made.unchanged == 1
    assert served("prod") == served("default")
    assert client.releases.promote("billing", "default", prod).unchanged == 2
    (release,) = client.releases.list(limits, environment=prod)
    assert release.message == "release 12"


def test_promotion_goes_by_name(
    client: ConfigClient, limits: Configuration, database: Configuration, prod: Environment
) -> None:
    made = client.releases.promote("billing", "default", "prod")
    assert [release.name for release in made.released] == ["database", "limits"]


def test_what_only_the_target_of_a_promotion_serves_stays(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    client.releases.release(database, prod)
    client.releases.withdraw(database, "default")
    made = client.releases.promote("billing", "default", prod)
    assert (made.released, made.unchanged) == ((), 0)
    assert served("prod") == {"database": {"pool_size": 10}}


def test_promotion_can_hand_a_name_over(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    client.releases.release(database, "prod")
    client.configurations.update(database, name="db")
    client.configurations.create("billing", name="database", config={"n": 1})
    client.releases.promote("billing", "default", "prod")
    assert served("prod") == {"database": {"n": 1}, "db": {"pool_size": 10}}


# What is refused --------------------------------------------------------------------------


def test_an_environment_serves_one_configuration_of_a_name(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    client.releases.release(database, "prod")
    client.configurations.update(database, name="db")
    other = client.configurations.create("billing", name="database", config={"n": 1})
    with pytest.raises(ConflictError, match="serves another"):
        client.releases.release(other, "prod")
    client.releases.withdraw(database, "default")
    with pytest.raises(ConflictError, match="serves another"):
        client.releases.promote("billing", "default", "prod")
    assert served("prod") == {"database": {"pool_size": 10}}


def test_a_version_is_not_written_where_it_would_be_served_under_a_taken_name(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    client.environments.update("billing", "default", auto_release=False)
    client.configurations.update(database, name="db")
    client.environments.update("billing", "default", auto_release=True)
    with pytest.raises(ConflictError, match="serves another"):
        client.configurations.validate("billing", name="database", config={})
    with pytest.raises(ConflictError, match="serves another") as caught:
        client.configurations.create("billing", name="database", config={})
    assert [error["pointer"] for error in caught.value.problem["errors"]] == ["/name"]
    assert [found.name for found in client.configurations.list("billing")] == ["db"]
    assert served("default") == {"database": {"pool_size": 10}}


def test_what_a_protected_environment_serves_is_not_deleted(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.releases.release(database, "prod")
    with pytest.raises(ConflictError, match="protected"):
        client.configurations.delete(database)
    with pytest.raises(ConflictError, match="protected"):
        client.applications.delete("billing")
    client.releases.withdraw(database, "prod")
    client.applications.delete("billing")


def test_what_is_not_there_is_refused(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    with pytest.raises(ValidationError, match="/version"):
        client.releases.release(database, "prod", version=9)
    with pytest.raises(ValidationError, match="/environment"):
        client.releases.release(database, "nowhere")
    with pytest.raises(ValidationError, match="/environment"):
        client.releases.rollback(database, "nowhere")
    with pytest.raises(NotFoundError):
        client.releases.release("01K9YV5C7W3V0Y1Q3W6M8N2B4D", "prod")


def test_a_promotion_has_two_sides(client: ConfigClient, prod: Environment) -> None:
    with pytest.raises(ValidationError, match="/to"):
        client.releases.promote("billing", "default", "nowhere")
    with pytest.raises(ValidationError, match="/from"):
        client.releases.promote("billing", "nowhere", "prod")
    with pytest.raises(ValidationError, match="another"):
        client.releases.promote("billing", "prod", "prod")
