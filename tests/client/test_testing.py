"""Fake client: its own methods; as a client, the suite in ``contract`` tests it."""

import asyncio
from datetime import timedelta

import pytest

from configsvc_client import AuthError, Change, ConfigClient, Grant, NotReadyError, TransportError
from configsvc_client.testing import FakeAsyncConfigClient, FakeConfigClient


@pytest.fixture
def client() -> FakeConfigClient:
    return FakeConfigClient({"billing": {"database": {"a": {"b": 1, "c": 2}}}})


def test_it_is_a_client(client: FakeConfigClient) -> None:
    assert isinstance(client, ConfigClient)
    assert repr(client) == "<FakeConfigClient http://fake.invalid>"


def test_the_fixture_gives_an_empty_one(config_client: FakeConfigClient) -> None:
    assert list(config_client.applications.list()) == []


def test_a_change_is_in_every_view_when_the_line_that_makes_it_returns(
    client: FakeConfigClient,
) -> None:
    default, prod = (client.application("billing", environment=e) for e in ("default", "prod"))
    client.environments.create("billing", name="prod", protected=True)
    reported: list[Change] = []
    for view in (default, prod):
        view.on_change(reported.append)
    made = client.configurations.create("billing", name="limits", config={"n": 1})
    assert (default.get("limits.n"), prod.get("limits.n"), len(reported)) == (1, None, 1)
    client.releases.release(made, "prod")
    assert (default.get("limits.n"), prod.get("limits.n"), len(reported)) == (1, 1, 2)
    client.configurations.update(made, config={"n": 2})
    assert (default.get("limits.n"), prod.get("limits.n"), len(reported)) == (2, 1, 3)


def test_a_feed_ends_where_a_real_one_waits_and_goes_on_with_what_has_come(
    client: FakeConfigClient,
) -> None:
    feed = client.changes.follow()
    assert list(feed) == []
    client.set("billing", "limits", {"n": 1})
    assert [change.name for change in feed] == ["limits"]
    client.fail(TransportError("away"))
    assert list(feed) == []
    assert str(feed.error) == "away"
    client.fail(None)
    client.remove("billing", "limits")
    assert [change.action for change in feed] == ["delete"]
    resumed = client.changes.follow(after=feed.cursor)
    assert list(resumed) == []


def test_schemas_are_kept_and_not_checked(client: FakeConfigClient) -> None:
    schema = {"required": ["size"]}
    made = client.configurations.create("billing", name="n", config={}, schema=schema)
    assert made.schema == schema
    client.set("billing", "n", {"a": 1})
    assert client.configurations.get(made).schema == schema


def test_its_moments_are_the_same_in_every_run(client: FakeConfigClient) -> None:
    again = FakeConfigClient({"billing": {"database": {"a": {"b": 1, "c": 2}}}})
    assert client.applications.get("billing") == again.applications.get("billing")


def test_set_creates_what_is_missing(client: FakeConfigClient) -> None:
    client.set("shop", "limits", {"n": 1})
    assert client.application("shop")["limits"] == {"n": 1}


def test_set_makes_a_configuration_what_is_given_and_remove_deletes_it(
    client: FakeConfigClient,
) -> None:
    client.set("billing", "database", {"d": 3})
    assert client.configurations.find("billing", "database").config == {"d": 3}
    client.remove("billing", "database")
    assert list(client.application("billing")) == []


def test_failure_makes_views_stale_until_it_ends(client: FakeConfigClient) -> None:
    app = client.application("billing")
    app.wait_until_ready()
    client.fail(TransportError("away"))
    assert app.status().stale
    with pytest.raises(TransportError):
        client.applications.get("billing")
    client.fail(None)
    assert not app.status().stale


def test_requests_are_remembered(client: FakeConfigClient) -> None:
    client.applications.get("billing")
    assert client.requests[-1].path == "/api/v1/applications/billing"


def test_the_async_fixture_gives_a_client_that_needs_no_plugin(
    async_config_client: FakeAsyncConfigClient,
) -> None:
    async_config_client.set("billing", "database", {"pool_size": 10})

    async def main() -> int:
        app = async_config_client.application("billing")
        with pytest.raises(NotReadyError):
            app["database"]
        await app.ready()
        return int(app["database"]["pool_size"])

    assert asyncio.run(main()) == 10


class TestTokens:
    def test_a_token_that_nobody_knows_is_refused(self) -> None:
        client = FakeConfigClient({"billing": {}}).as_token("configsvc_unknown")
        with pytest.raises(AuthError) as caught:
            client.applications.get("billing")
        assert (caught.value.status, caught.value.missing) == (401, None)

    def test_a_token_function_is_asked_for_each_request(self) -> None:
        client = FakeConfigClient({"billing": {}})
        created = client.tokens.create(name="app", grants=[Grant("reader", "billing")])
        tokens = ["configsvc_unknown"]
        other = client.as_token(lambda: tokens[0])
        with pytest.raises(AuthError):
            other.me()
        tokens[0] = created.token
        assert other.me().name == "token:app"

    def test_a_rotation_without_an_overlap_ends_the_old_text(self) -> None:
        client = FakeConfigClient()
        created = client.tokens.create(name="app", grants=[Grant("reader")])
        client.tokens.rotate(created, overlap=timedelta(0))
        with pytest.raises(AuthError):
            client.as_token(created.token).me()

    def test_a_view_with_a_token_follows_changes_by_others(self) -> None:
        client = FakeConfigClient({"billing": {"database": {"pool_size": 10}}})
        created = client.tokens.create(name="app", grants=[Grant("reader", "billing")])
        app = client.as_token(created.token).application("billing")
        assert app["database"]["pool_size"] == 10
        client.set("billing", "database", {"pool_size": 20})
        assert app["database"]["pool_size"] == 20

    def test_a_revoked_token_makes_a_view_stale(self) -> None:
        client = FakeConfigClient({"billing": {"database": {"pool_size": 10}}})
        created = client.tokens.create(name="app", grants=[Grant("reader", "billing")])
        app = client.as_token(created.token).application("billing")
        assert app["database"]["pool_size"] == 10
        client.tokens.delete(created)
        assert app.status().stale
        assert app["database"]["pool_size"] == 10
