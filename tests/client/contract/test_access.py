"""Tokens, grants, and who a client is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from configsvc_client import (
    Application,
    AuthError,
    ConfigClient,
    Configuration,
    ConflictError,
    Environment,
    Grant,
    NotFoundError,
    Secret,
    ValidationError,
)
from configsvc_client.testing import FakeConfigClient
from tests.client.contract.running import threads_only


def test_without_a_token_a_client_may_do_everything(client: ConfigClient) -> None:
    me = client.me()
    assert (me.kind, me.token, me.auth) == ("anonymous", None, "off")


def test_a_token_is_told_once(client: ConfigClient, billing: Application) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    created = client.tokens.create(
        name="deploy", grants=[Grant("releaser", "billing")], expires_at=until, message="for CI"
    )
    assert isinstance(created.token, Secret)
    assert str(created.token) not in repr(created)
    assert created.token.endswith(created.hint)
    found = client.tokens.get(created.id)
    assert not hasattr(found, "token")
    assert (found.name, found.expires_at, found.rotated_at) == ("deploy", until, None)
    assert found.grants == (Grant("releaser", "billing", None, billing.id),)


def test_grants_that_were_read_can_be_given(client: ConfigClient, prod: Environment) -> None:
    first = client.tokens.create(name="a", grants=[Grant("reader", "billing", "prod")])
    second = client.tokens.create(name="b", grants=first.grants)
    assert second.grants == first.grants


def test_tokens_are_listed_from_either_end(client: ConfigClient) -> None:
    made = [client.tokens.create(name=name, grants=[Grant("reader")]) for name in "abc"]
    ids = [token.id for token in made]
    found = [token.id for token in client.tokens.list(page_size=2) if token.id in ids]
    assert found == ids
    newest = [token.id for token in client.tokens.list(newest_first=True) if token.id in ids]
    assert newest == ids[::-1]


def test_a_rotated_token_keeps_everything_but_its_text(client: ConfigClient) -> None:
    created = client.tokens.create(name="deploy", grants=[Grant("reader")])
    rotated = client.tokens.rotate(created, overlap=timedelta(minutes=5))
    assert rotated.token != created.token
    assert (rotated.id, rotated.name, rotated.grants) == (created.id, "deploy", created.grants)
    assert rotated.rotated_at is not None
    assert rotated.previous_expires_at == rotated.rotated_at + timedelta(minutes=5)


def test_a_token_that_was_revoked_is_gone(client: ConfigClient) -> None:
    created = client.tokens.create(name="deploy", grants=[Grant("reader")])
    client.tokens.delete(created)
    with pytest.raises(NotFoundError):
        client.tokens.get(created)


@pytest.mark.parametrize("grants", [[], [Grant("owner")]])
def test_a_token_without_a_known_role_is_refused(client: ConfigClient, grants: list[Grant]) -> None:
    with pytest.raises(ValidationError):
        client.tokens.create(name="deploy", grants=grants)


def test_a_grant_is_given_once_and_taken_back(
    client: ConfigClient, billing: Application, prod: Environment
) -> None:
    granted = client.grants.create("corp:ada@example.com", "releaser", billing, prod)
    assert granted.grant == Grant("releaser", "billing", "prod", billing.id)
    with pytest.raises(ConflictError):
        client.grants.create("corp:ada@example.com", "releaser", "billing", "prod")
    client.grants.delete(granted)
    with pytest.raises(NotFoundError):
        client.grants.delete(granted)


@threads_only("an async list asks nothing before it is iterated over")
def test_grants_can_be_filtered(client: ConfigClient, billing: Application) -> None:
    ada = client.grants.create("corp:ada@example.com", "editor", billing)
    bob = client.grants.create("corp:bob@example.com", "reader")
    assert list(client.grants.list(principal="corp:bob@example.com")) == [bob]
    assert list(client.grants.list(application="billing")) == [ada]


def test_the_log_tells_whom_a_token_and_a_grant_are_for(
    client: ConfigClient, billing: Application
) -> None:
    token = client.tokens.create(name="app", grants=[Grant("reader")], message="for the app")
    client.grants.create("corp:ada@example.com", "editor", billing)
    (created,) = client.changes.list(entity="token")
    (granted,) = client.changes.list(entity="grant")
    assert (created.action, created.name, created.message) == ("create", "app", "for the app")
    assert created.details is not None
    assert granted.details is not None
    assert granted.details["principal"] == "corp:ada@example.com"
    assert granted.details["grants"][0]["role"] == "editor"
    assert str(token.token) not in repr(created.details)


def test_other_changes_have_no_details(client: ConfigClient, billing: Application) -> None:
    (change,) = client.changes.list(entity="application")
    assert (change.details, change.application_id) == (None, billing.id)


# With a token -----------------------------------------------------------------------------


@pytest.fixture
def shop(client: ConfigClient) -> Configuration:
    """An application that nobody here is granted anything on."""
    client.applications.create(name="shop")
    return client.configurations.create("shop", name="secrets", config={"n": 1})


@pytest.fixture
def as_token(client: ConfigClient, request: pytest.FixtureRequest) -> Iterator["AsToken"]:
    """Makes clients that send a token with these grants."""
    made = AsToken(client, request)
    yield made
    made.close()


class AsToken:
    def __init__(self, client: ConfigClient, request: pytest.FixtureRequest) -> None:
        self._client = client
        self._request = request
        self._made: list[ConfigClient] = []

    def __call__(self, *grants: Grant) -> ConfigClient:
        name = f"app-{len(self._made)}" if self._made else "app"
        created = self._client.tokens.create(name=name, grants=grants)
        if isinstance(self._client, FakeConfigClient):
            made: ConfigClient = self._client.as_token(created.token)
        else:
            made = ConfigClient(
                self._request.getfixturevalue("live_server").url, token=created.token
            )
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.close()


def test_a_client_with_a_token_knows_itself(as_token: AsToken, billing: Application) -> None:
    me = as_token(Grant("reader", "billing")).me()
    assert (me.kind, me.name) == ("token", "token:app")
    assert me.grants == (Grant("reader", "billing", None, billing.id),)
    assert me.token is not None
    assert (me.token.name, me.token.expires_at) == ("app", None)


def test_what_one_may_not_read_is_not_there(
    as_token: AsToken, database: Configuration, shop: Configuration
) -> None:
    client = as_token(Grant("reader", "billing"))
    assert [found.name for found in client.applications.list()] == ["billing"]
    assert [found.name for found in client.configurations.list("billing")] == ["database"]
    assert {change.application_id for change in client.changes.list()} == {database.application_id}
    for read in (
        lambda: client.applications.get("shop"),
        lambda: client.configurations.get(shop.id),
        lambda: client.configurations.update(shop.id, config={"n": 2}),
        lambda: client.environments.get("shop", "default"),
        lambda: client.application("shop").refresh(),
        lambda: client.grants.create("corp:ada", "reader", "shop"),
    ):
        with pytest.raises((NotFoundError, ValidationError)):
            read()


def test_a_token_for_one_environment_sees_no_other(
    client: ConfigClient, as_token: AsToken, database: Configuration, prod: Environment
) -> None:
    client.releases.release(database, prod)
    reader = as_token(Grant("reader", "billing", "prod"))
    assert reader.application("billing", environment="prod")["database"] == {"pool_size": 10}
    assert [found.name for found in reader.environments.list("billing")] == ["prod"]
    for read in (
        lambda: reader.application("billing", environment="default").refresh(),
        lambda: reader.environments.get("billing", "default"),
        lambda: reader.configurations.get(database.id),
    ):
        with pytest.raises(NotFoundError):
            read()


def test_what_one_may_read_but_not_change_tells_the_role_that_is_missing(
    as_token: AsToken, billing: Application, database: Configuration, prod: Environment
) -> None:
    client = as_token(Grant("reader", "billing"))
    for write, role, environment in (
        (lambda: client.configurations.update(database, config={"n": 2}), "editor", None),
        (lambda: client.releases.release(database, "prod"), "releaser", "prod"),
        (lambda: client.releases.promote("billing", "default", "prod"), "releaser", "prod"),
        (lambda: client.environments.update("billing", "prod", position=9), "admin", "prod"),
        (lambda: client.applications.delete(billing), "admin", None),
    ):
        with pytest.raises(AuthError) as caught:
            write()
        assert caught.value.status == 403
        missing = caught.value.missing
        assert missing is not None
        assert (missing.role, missing.application_id, missing.environment) == (
            role,
            billing.id,
            environment,
        )
        assert missing.application == "billing"
        where = "billing" if environment is None else f"billing/{environment}"
        assert f"It needs the role {role} on {where}." in str(caught.value)
    with pytest.raises(AuthError, match=r"\(It needs the role editor on everything\.\)"):
        client.applications.create(name="mail")


def test_each_role_may_what_it_is_for_and_what_those_before_it_may(
    as_token: AsToken, database: Configuration, prod: Environment
) -> None:
    editor = as_token(Grant("editor", "billing"))
    written = editor.configurations.update(database, config={"pool_size": 20})
    assert written.updated_by == "token:app"
    releaser = as_token(Grant("reader", "billing"), Grant("releaser", "billing", "prod"))
    assert releaser.releases.release(database.id, "prod").author == "token:app-1"
    admin = as_token(Grant("admin", "billing"))
    admin.environments.update("billing", "prod", protected=False)
    assert admin.tokens.create(name="mine", grants=[Grant("reader", "billing")]).created_by == (
        "token:app-2"
    )


def test_a_grant_to_a_token_counts_as_its_own(
    client: ConfigClient, as_token: AsToken, database: Configuration
) -> None:
    reader = as_token(Grant("reader", "billing"))
    me = reader.me()
    assert me.token is not None
    client.grants.create(f"token:{me.token.id}", "editor", "billing")
    assert reader.configurations.update(database, config={"pool_size": 20}).version == 2


def test_a_token_may_rotate_and_delete_itself(as_token: AsToken, billing: Application) -> None:
    client = as_token(Grant("reader", "billing"))
    me = client.me()
    assert me.token is not None
    client.tokens.rotate(me.token.id, overlap=timedelta(hours=1))
    client.tokens.delete(me.token.id)
    with pytest.raises(AuthError) as caught:
        client.me()
    assert (caught.value.status, caught.value.missing) == (401, None)


def test_an_application_is_renamed_by_an_admin_of_it(
    as_token: AsToken, billing: Application
) -> None:
    editor = as_token(Grant("editor", "billing"))
    with pytest.raises(AuthError) as caught:
        editor.applications.update(billing.id, name="invoices")
    assert str(caught.value.missing) == "admin on billing"
    changed = editor.applications.update(billing.id, name="billing", comments="Invoices")
    assert changed.comments == "Invoices"
    admin = as_token(Grant("admin", "billing"))
    assert admin.applications.update(billing.id, name="invoices").name == "invoices"


def test_the_id_of_a_deleted_configuration_of_others_is_taken(
    client: ConfigClient, as_token: AsToken, database: Configuration
) -> None:
    client.configurations.delete(database)
    client.applications.create(name="mail")
    stranger = as_token(Grant("editor", "mail"))
    with pytest.raises(ConflictError):
        stranger.configurations.create("mail", id=database.id, name="mine", config={})
    again = client.configurations.create("mail", id=database.id, name="mine", config={})
    assert again.version == 2
