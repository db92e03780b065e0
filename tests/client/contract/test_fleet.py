"""The fleet: who serves what, who rejects it, and what an instance has served before."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from configsvc_client import (
    Application,
    ConfigClient,
    Configuration,
    ConfigView,
    Convergence,
    Environment,
    Instance,
    NotFoundError,
    Rejection,
    ValidationError,
)
from tests.client.contract.conftest import Put
from tests.client.stub import eventually


@dataclass
class Database:
    pool_size: int


TOO_LARGE = Rejection("database", "/pool_size", "must be an integer, not a string")


@pytest.fixture
def app(client: ConfigClient, app: ConfigView) -> ConfigView:
    """A ready view that its server knows, which takes it half a second."""
    eventually(lambda: list(client.instances("billing")))
    return app


def only(client: ConfigClient) -> Instance:
    (instance,) = client.instances("billing")
    return instance


def test_a_view_is_an_instance(client: ConfigClient, app: ConfigView) -> None:
    found = client.instances("billing").wait(timeout=20)
    assert (found.state, found.instances, found.current) == ("converged", 1, 1)
    instance = only(client)
    assert (instance.id, instance.state) == (client.instance_id, "current")
    assert (instance.application, instance.environment) == ("billing", "default")
    assert instance.serves == app.status().version == found.version
    assert instance.rejections == ()
    assert instance.processes == 1
    assert (instance.sdk or "").startswith("configsvc-client/")
    assert instance.service
    assert instance.host
    assert instance.first_seen_at <= (instance.since or instance.first_seen_at)
    assert client.instances("billing").get(instance).id == instance.id


def test_without_views_there_is_nobody_to_wait_for(
    client: ConfigClient, billing: Application
) -> None:
    found = client.instances(billing).convergence()
    assert (found.state, found.instances) == ("converged", 0)
    assert list(client.instances(billing)) == []
    assert repr(found) == "no instance polls here"


def test_an_environment_has_its_own(
    client: ConfigClient, app: ConfigView, prod: Environment
) -> None:
    client.instances("billing").wait(timeout=20)
    assert list(client.instances("billing", prod)) == []
    client.application("billing", environment="prod").wait_until_ready()
    eventually(lambda: len(list(client.instances("billing", "prod"))) == 1)


def test_instances_are_filtered(client: ConfigClient, app: ConfigView) -> None:
    client.instances("billing").wait(timeout=20)
    instances = client.instances("billing")
    (found,) = instances.list(state="current")
    assert list(instances.list(service=found.service)) == [found]
    assert list(instances.list(service="another")) == []
    for state in ("behind", "rejecting", "gone"):
        assert list(instances.list(state=state)) == []
    with pytest.raises(ValidationError):
        list(instances.list(state="lost"))


def test_a_change_converges(client: ConfigClient, app: ConfigView, put: Put) -> None:
    before = client.instances("billing").wait(timeout=20)
    put("database", {"pool_size": 20})
    after = client.instances("billing").wait(timeout=20)
    assert (after.state, after.current) == ("converged", 1)
    assert after.version != before.version
    old = client.instances("billing").convergence(before.version)
    assert old.state == "superseded"
    assert old.is_final


def test_a_rejection_is_shown_with_its_reason_and_no_value(
    client: ConfigClient, app: ConfigView, put: Put
) -> None:
    app.bind("database", Database)
    put("database", {"pool_size": "s3cr3t"})
    found = client.instances("billing").wait(timeout=20)
    assert (found.state, found.rejecting, found.current) == ("rejected", 1, 0)
    assert found.rejections == (TOO_LARGE,)
    assert repr(found) == (
        "0 of 1 instance serve this version, 1 rejects it:"
        " database /pool_size must be an integer, not a string"
    )
    instance = only(client)
    assert (instance.state, instance.rejections) == ("rejecting", (TOO_LARGE,))
    assert "s3cr3t" not in repr(instance) + repr(found)


def test_a_rejection_ends_with_the_next_version(
    client: ConfigClient, app: ConfigView, put: Put
) -> None:
    app.bind("database", Database)
    put("database", {"pool_size": "many"})
    assert client.instances("billing").wait(timeout=20).state == "rejected"
    put("database", {"pool_size": 5})
    assert client.instances("billing").wait(timeout=20).state == "converged"
    assert only(client).rejections == ()


def test_a_callback_that_raises_rejects(client: ConfigClient, app: ConfigView, put: Put) -> None:
    def resize(_change: object) -> None:
        raise ValueError("s3cr3t")

    app.on_change(resize, "database.pool_size")
    put("database", {"pool_size": 20})
    # An async callback may fail after the poll that tells of the version.
    eventually(lambda: client.instances("billing").convergence().state == "rejected")
    (reason,) = client.instances("billing").convergence().rejections
    assert (reason.configuration, reason.pointer) == ("database", "/pool_size")
    assert "resize raised ValueError" in reason.message
    assert "s3cr3t" not in reason.message


def test_progress_is_told_until_it_is_final(
    client: ConfigClient, app: ConfigView, put: Put
) -> None:
    told: list[Convergence] = []
    put("database", {"pool_size": 20})
    found = client.instances("billing").wait(timeout=20, on_progress=told.append)
    assert told[-1] == found
    assert all(not each.is_final for each in told[:-1])


def test_a_promotion_waits_until_it_has_arrived(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.releases.promote("billing", "default", prod)
    view = client.application("billing", environment="prod")
    view.wait_until_ready()
    eventually(lambda: list(client.instances("billing", "prod")))
    client.configurations.update(database.id, config={"pool_size": 20})
    told: list[Convergence] = []
    promotion = client.releases.promote(
        "billing", "default", prod, wait=20, on_progress=told.append
    )
    assert len(promotion.released) == 1
    assert promotion.convergence is not None
    assert (promotion.convergence.state, promotion.convergence.current) == ("converged", 1)
    assert told[-1] == promotion.convergence
    assert view["database"]["pool_size"] == 20
    assert repr(promotion).endswith("; the 1 instance serves this version>")


def test_a_promotion_that_is_rejected_says_so(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.releases.promote("billing", "default", prod)
    view = client.application("billing", environment="prod")
    view.wait_until_ready()
    eventually(lambda: list(client.instances("billing", "prod")))
    view.bind("database", Database)
    client.configurations.update(database.id, config={"pool_size": "many"})
    promotion = client.releases.promote("billing", "default", prod, wait=True)
    assert promotion.convergence is not None
    assert promotion.convergence.state == "rejected"
    assert promotion.convergence.rejections == (TOO_LARGE,)


def test_a_promotion_does_not_wait_by_itself(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    assert client.releases.promote("billing", "default", prod).convergence is None


def test_what_an_instance_served_can_be_replayed(
    client: ConfigClient, app: ConfigView, put: Put
) -> None:
    client.instances("billing").wait(timeout=20)
    before, first = app.snapshot(), only(client)
    put("database", {"pool_size": 20})
    client.instances("billing").wait(timeout=20)
    assert client.replay(first, first.last_seen_at) == before
    replayed = client.replay(first, first.last_seen_at)
    assert replayed.version == before.version
    assert replayed.provenance("database") == before.provenance("database")
    now = only(client)
    assert client.replay(now.id, now.last_seen_at, application="billing")["database"] == {
        "pool_size": 20
    }


def test_the_past_has_the_rejections_too(client: ConfigClient, app: ConfigView, put: Put) -> None:
    app.bind("database", Database)
    put("database", {"pool_size": "many"})
    client.instances("billing").wait(timeout=20)
    rejecting = only(client)
    put("database", {"pool_size": 5})
    client.instances("billing").wait(timeout=20)
    past = client.instances("billing").at(rejecting, rejecting.last_seen_at)
    assert past.rejections == (TOO_LARGE,)
    assert past.serves == rejecting.serves
    assert past.replay()["database"]["pool_size"] == "many"


def test_nothing_is_known_of_a_stranger_or_of_a_time_before(
    client: ConfigClient, app: ConfigView
) -> None:
    client.instances("billing").wait(timeout=20)
    instance = only(client)
    with pytest.raises(NotFoundError):
        client.instances("billing").get("nobody")
    with pytest.raises(NotFoundError):
        client.replay("nobody", instance.last_seen_at, application="billing")
    with pytest.raises(NotFoundError):
        client.replay(instance, instance.first_seen_at - timedelta(hours=1))


def test_a_replay_needs_a_place_and_a_time_zone(client: ConfigClient, app: ConfigView) -> None:
    with pytest.raises(TypeError, match="Of which application"):
        client.replay("web-3", datetime.now(UTC))
    naive: Any = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="time zone"):
        client.replay("web-3", naive, application="billing")
