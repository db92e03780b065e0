"""Every route, for every role on every scope: what may be done, and what does not even exist."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import falcon
import falcon.inspect
import falcon.testing
import pytest
import requests
from falcon.testing import Result, TestClient

from configsvc_server.app import Runtime, open_services
from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.http import PREFIX
from configsvc_server.http.errors import WsgiApp
from configsvc_server.http.openapi.permissions import (
    FILTERED,
    OPEN_ROUTES,
    PERMISSIONS,
    SELF,
    access_table,
    describe_permissions,
    open_table,
)
from configsvc_server.settings import Settings
from tests.server.http.support import ok, problem
from tests.support.postgres import fresh_database
from tests.support.servers import running_server

Json: TypeAlias = dict[str, Any]

ROLES = ("reader", "editor", "releaser", "admin")
SCOPES: dict[str, Json] = {
    "everything": {},
    "the application": {"application": "shop"},
    "the environment": {"application": "shop", "environment": "prod"},
    "another environment": {"application": "shop", "environment": "dev"},
    "another application": {"application": "hidden"},
}
IN_SHOP = ("everything", "the application", "the environment", "another environment")
WHOLE = ("everything", "the application")
INSTANCE = "/applications/{application}/environments/{environment}/instances/{instance}"
ALLOWED, FORBIDDEN, MISSING = "allowed", "forbidden", "missing"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with which nobody may do anything without a token."""
    return settings.model_copy(update={"auth": "required", "rate_limit": None})


@pytest.fixture
def secret(runtime: Runtime) -> str:
    """The token of the first start, which may do everything."""
    assert runtime.first_token is not None
    return runtime.first_token.secret


def caller_of(app: WsgiApp, token: str) -> TestClient:
    """Return a client that sends a token."""
    return falcon.testing.TestClient(app, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def caller(app: WsgiApp) -> Callable[[str], TestClient]:
    """Makes a client that sends a token."""
    return partial(caller_of, app)


@pytest.fixture
def admin(caller: Callable[[str], TestClient], secret: str) -> TestClient:
    """A client that may do everything."""
    return caller(secret)


@pytest.fixture
def shop(admin: TestClient) -> Json:
    """An application whose configuration is served by default and prod, and another one."""
    return create_shop(admin)


def create_shop(admin: TestClient) -> Json:
    ok(admin.simulate_post(f"{PREFIX}/applications", json={"name": "hidden"}), 201)
    application = ok(admin.simulate_post(f"{PREFIX}/applications", json={"name": "shop"}), 201)
    path = f"{PREFIX}/applications/shop"
    for body in ({"name": "dev", "auto_release": False}, {"name": "prod", "protected": True}):
        ok(admin.simulate_post(f"{path}/environments", json=body), 201)
    configuration = ok(
        admin.simulate_post(f"{path}/configurations", json={"name": "db", "config": {"size": 1}}),
        201,
    )
    releases = f"{PREFIX}/configurations/{configuration['id']}/releases"
    for environment in ("prod", "dev"):
        ok(admin.simulate_post(releases, json={"environment": environment}), 201)
    ok(admin.simulate_post(f"{PREFIX}/grants", json=GRANT), 201)
    return {**application, "configuration": configuration["id"]}


GRANT: Json = {"principal": "corp:ann", "role": "reader", "application": "shop"}


def token(admin: TestClient, name: str, role: str, scope: Json) -> Json:
    """Create a token."""
    body = {"name": name, "grants": [{"role": role, **scope}]}
    created: Json = ok(admin.simulate_post(f"{PREFIX}/tokens", json=body), 201)
    return created


@dataclass
class Table:
    """What the requests of the whole table are made over: none of them changes it."""

    admin: TestClient
    shop: Json
    callers: dict[tuple[str, str], TestClient]
    """By role and scope."""


@pytest.fixture(scope="module")
def table(cluster_url: str, template: str) -> Iterator[Table]:
    settings = Settings.model_construct(
        migrate=False, auth="required", rate_limit=None, allowed_hosts=("*",)
    )
    with (
        # Other tests of this module empty the worker's database.
        fresh_database(cluster_url, template=template) as url,
        open_services(settings, url) as runtime,
    ):
        assert runtime.first_token is not None
        admin = caller_of(runtime.app, runtime.first_token.secret)
        shop = create_shop(admin)
        token(admin, "taken", "reader", {})
        callers = {
            (role, scope): caller_of(
                runtime.app, token(admin, f"{role}-{scope}", role, where)["token"]
            )
            for scope, where in SCOPES.items()
            for role in ROLES
        }
        yield Table(admin, shop, callers)


def request(method: str, path: str, shop: Json, admin: TestClient) -> Json:
    """Return a request that changes nothing that another one depends on."""
    values = {
        "application": "shop",
        "environment": "prod",
        "id": shop["configuration"],
        "version": "1",
        "instance": "web-1",
    }
    document = {"name": "db", "config": {"size": 1}}
    bodies: dict[tuple[str, str], Json] = {
        ("POST", "/applications"): {"name": "shop"},
        ("PUT", "/applications/{application}"): {"name": "shop"},
        ("PATCH", "/applications/{application}"): {"comments": "x"},
        ("POST", "/applications/{application}/configurations"): document,
        ("POST", "/configurations"): {**document, "application_id": shop["id"]},
        ("POST", "/configurations/validate"): {
            "application_id": shop["id"],
            "name": "other",
            "config": {},
        },
        ("PUT", "/configurations/{id}"): document,
        ("PATCH", "/configurations/{id}"): {"comments": "x"},
        ("POST", "/configurations/{id}/diff"): {"document": document},
        ("POST", "/configurations/{id}/rollback"): {"version": 1},
        ("POST", "/configurations/{id}/restore"): {},
        ("POST", "/configurations/{id}/releases"): {"environment": "prod", "version": 1},
        ("POST", "/configurations/{id}/releases/rollback"): {"environment": "prod"},
        ("POST", "/applications/{application}/environments"): {"name": "prod"},
        ("PUT", "/applications/{application}/environments/{environment}"): {"protected": True},
        ("PATCH", "/applications/{application}/environments/{environment}"): {"position": 3},
        ("POST", "/applications/{application}/promote"): {"from": "default", "to": "prod"},
        ("POST", f"{INSTANCE}/rejections"): {"version": "0" * 32, "rejections": []},
        ("POST", "/tokens"): {
            "name": "taken",
            "grants": [{"role": "reader", "application": "shop"}],
        },
        ("POST", "/tokens/{id}/rotate"): {},
        ("POST", "/grants"): GRANT,
    }
    headers = {}
    if method in {"PUT", "PATCH", "DELETE"}:
        # What may be done fails by this, and leaves everything as it is.
        headers["If-Match"] = '"nonsense"'
    if path.startswith("/tokens/"):
        created = token(admin, f"other-{new_ulid()}", "reader", {"application": "shop"})
        values["id"] = created["id"]
    if path == INSTANCE:
        polled = f"{PREFIX}/applications/shop/environments/prod/snapshot"
        ok(admin.simulate_get(polled, headers={"Configsvc-Instance": 'id="web-1"'}))
    if path == "/grants/{id}":
        principal = {**GRANT, "principal": f"corp:{new_ulid()}"}
        values["id"] = ok(admin.simulate_post(f"{PREFIX}/grants", json=principal), 201)["id"]
    return {
        "method": method,
        "path": PREFIX + path.format(**values),
        "json": bodies.get((method, path)),
        "headers": headers,
    }


def outcome(result: Result) -> str:
    """Return what became of a request."""
    if result.status_code == 403:
        assert problem(result, 403)["missing"]["role"] in ROLES
        return FORBIDDEN
    if result.status_code == 404:
        return MISSING
    if result.status_code == 422:
        # What the body names does not exist for the caller.
        assert "exist" in result.text or "must be an environment" in result.text, result.text
        return MISSING
    assert result.status_code in {200, 201, 204, 409, 412}, result.text
    return ALLOWED


def expected(method: str, path: str, role: str, scope: str) -> str:  # noqa: PLR0911 - a table
    """Return what is to become of a request, by the words of the documentation."""
    rule = PERMISSIONS[method, path]
    rank = ROLES.index(role)
    if rule == FILTERED:
        is_nested = path.startswith(("/applications/{", "/configurations/{"))
        return ALLOWED if scope in IN_SHOP or not is_nested else MISSING
    if path == "/sessions/{id}":
        # Here is none; tests of sessions have their own.
        return MISSING
    if rule == SELF:
        return ALLOWED if role == "admin" and scope in WHOLE else MISSING
    assert isinstance(rule, Permission)
    enough = rank >= ROLES.index(rule.role.label)
    match rule.part:
        case "installation":
            return ALLOWED if enough and scope == "everything" else FORBIDDEN
        case "environment":
            if path == "/applications/{application}/promote" and scope == "the environment":
                # It may not read the source.
                return MISSING
            if scope in (*WHOLE, "the environment"):
                return ALLOWED if enough else FORBIDDEN
            return MISSING
        case "access":
            if path == "/grants/{id}":
                return ALLOWED if enough and scope in WHOLE else MISSING
            if scope in WHOLE:
                return ALLOWED if enough else FORBIDDEN
            return FORBIDDEN if scope in IN_SHOP else MISSING
    if rule is Permission.READ_APPLICATION:
        return ALLOWED if scope in IN_SHOP else MISSING
    if scope in WHOLE:
        return ALLOWED if enough else FORBIDDEN
    names_application = rule.part == "application" or path in {
        "/applications/{application}/configurations",
        "/configurations",
        "/configurations/validate",
    }
    return FORBIDDEN if scope in IN_SHOP and names_application else MISSING


@pytest.mark.parametrize(
    ("method", "path"), [pytest.param(*key, id=" ".join(key)) for key in PERMISSIONS]
)
def test_each_role_on_each_scope_may_do_what_the_table_says(
    method: str, path: str, table: Table
) -> None:
    found: dict[tuple[str, str], str] = {}
    wanted: dict[tuple[str, str], str] = {}
    for (role, scope), client in table.callers.items():
        sent = request(method, path, table.shop, table.admin)
        found[role, scope] = outcome(client.simulate_request(**sent))
        wanted[role, scope] = expected(method, path, role, scope)
    assert found == wanted


def _routes(app: WsgiApp) -> Iterator[tuple[str, str]]:
    for route in falcon.inspect.inspect_routes(app):
        for method in route.methods:
            if method.method not in {"HEAD", "OPTIONS"} and not method.internal:
                yield method.method, route.path


def test_every_route_has_a_rule(app: WsgiApp) -> None:
    below = {(method, f"{PREFIX}{path}") for method, path in PERMISSIONS}

    assert set(_routes(app)) == below | set(OPEN_ROUTES)


def test_every_route_but_those_of_pages_is_in_the_document(app: WsgiApp) -> None:
    document = ok(falcon.testing.TestClient(app).simulate_get("/openapi.json"))
    described = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }

    assert set(_routes(app)) - described == {
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/docs/{asset}"),
        ("GET", "/openapi.json"),
        ("GET", "/metrics"),
        ("GET", "/auth/style.css"),
    }


@pytest.mark.parametrize("path", [f"{PREFIX}/secrets", "/auth/secrets"])
def test_an_operation_without_a_rule_has_no_document(path: str) -> None:
    with pytest.raises(KeyError):
        describe_permissions({path: {"get": {"responses": {}}}})


@pytest.mark.parametrize("path", ["/applications", "/changes", "/me", "/nothing", "/tokens"])
def test_without_a_token_there_is_nothing(app: WsgiApp, path: str) -> None:
    result = falcon.testing.TestClient(app).simulate_get(PREFIX + path)

    problem(result, 401, "/authorization")
    assert result.headers["www-authenticate"] == 'Bearer realm="configsvc"'


def test_health_and_documentation_need_no_token(app: WsgiApp) -> None:
    client = falcon.testing.TestClient(app)
    statuses = [client.simulate_get(path).status_code for path in ("/health", "/", "/openapi.json")]

    assert statuses == [200, 200, 200]


def test_the_first_start_makes_one_token_for_everything(
    settings: Settings, database_url: str, runtime: Runtime
) -> None:
    assert runtime.first_token is not None
    with open_services(settings, database_url) as again:
        assert again.first_token is None


def test_without_authentication_a_proxy_is_refused_unless_it_was_turned_off_by_name(
    settings: Settings, database_url: str
) -> None:
    for auth, status in ((None, 401), ("off", 200)):
        with (
            open_services(settings.model_copy(update={"auth": auth}), database_url) as runtime,
            running_server(runtime.app) as server,
        ):
            url = f"{server.url}{PREFIX}/applications"
            for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
                response = requests.get(url, headers={header: "203.0.113.9"}, timeout=10)
                assert response.status_code == status
            assert requests.get(url, timeout=10).status_code == 200


def test_the_documentation_has_the_table_of_routes_and_roles() -> None:
    text = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")

    assert access_table() in text
    assert open_table() in text


def test_a_follower_that_may_not_read_all_gets_each_change_once(
    shop: Json, admin: TestClient, caller: Callable[[str], TestClient]
) -> None:
    client = caller(token(admin, "app", "reader", {"application": "shop"})["token"])
    first = ok(client.simulate_get(f"{PREFIX}/changes"))
    ok(admin.simulate_post(f"{PREFIX}/applications", json={"name": "another"}), 201)

    waited = ok(
        client.simulate_get(
            f"{PREFIX}/changes", params={"after": first["next"]}, headers={"Prefer": "wait=1"}
        )
    )

    assert first["items"]
    assert (waited["items"], waited["next"]) == ([], first["next"])


def test_a_refusal_names_the_application_whatever_the_caller_calls_it(
    shop: Json, admin: TestClient, caller: Callable[[str], TestClient]
) -> None:
    client = caller(token(admin, "ci", "reader", {"application": "shop"})["token"])
    releases = f"{PREFIX}/configurations/{shop['configuration']}/releases"
    by_id = f"{PREFIX}/applications/{shop['id']}"
    refusals = [
        client.simulate_delete(by_id),
        client.simulate_post(f"{by_id}/environments", json={"name": "qa"}),
        client.simulate_delete(f"{PREFIX}/configurations/{shop['configuration']}"),
        client.simulate_post(releases, json={"environment": "prod"}),
        client.simulate_post(f"{PREFIX}/grants", json={**GRANT, "application": shop["id"]}),
    ]

    found = [problem(refusal, 403) for refusal in refusals]

    assert [each["missing"]["application"] for each in found] == ["shop"] * 5
    assert [each["missing"]["application_id"] for each in found] == [shop["id"]] * 5
    assert "needs the role releaser on shop/prod for this" in found[3]["detail"]


def test_an_admin_lists_the_tokens_that_are_wholly_for_what_it_administers(
    shop: Json, admin: TestClient, caller: Callable[[str], TestClient]
) -> None:
    prod = {"application": "shop", "environment": "prod"}
    client = caller(token(admin, "admin of prod", "admin", prod)["token"])
    token(admin, "reader of prod", "reader", prod)
    token(admin, "reader of shop", "reader", {"application": "shop"})
    wider = token(admin, "reader of prod and everything", "reader", prod)
    grant = {"principal": f"token:{wider['id']}", "role": "reader"}
    ok(admin.simulate_post(f"{PREFIX}/grants", json=grant), 201)

    listed = ok(client.simulate_get(f"{PREFIX}/tokens"))

    assert [item["name"] for item in listed["items"]] == ["admin of prod", "reader of prod"]
    assert listed["total"] == 2


def test_an_editor_changes_the_comments_of_an_application_but_not_its_name(
    shop: Json, admin: TestClient, caller: Callable[[str], TestClient]
) -> None:
    """Rules of issuers go by the name: with another one, one would have the roles there."""
    path = f"{PREFIX}/applications/{shop['id']}"
    editor = caller(token(admin, "ed", "editor", {"application": "shop"})["token"])

    for refused in (
        editor.simulate_patch(path, json={"name": "web"}),
        editor.simulate_put(path, json={"name": "web"}),
        editor.simulate_patch(path, json={"name": "hidden"}),
    ):
        assert problem(refused, 403)["missing"] == {
            "role": "admin",
            "application_id": shop["id"],
            "application": "shop",
            "environment": None,
        }
    put = editor.simulate_put(path, json={"name": "shop", "comments": "new"})

    assert ok(put)["comments"] == "new"
    owner = caller(token(admin, "owner", "admin", {"application": "shop"})["token"])
    assert ok(owner.simulate_patch(path, json={"name": "web"}))["name"] == "web"


class TestIdsOfDeletedConfigurations:
    def test_are_taken_for_who_may_not_restore_them(
        self, shop: Json, admin: TestClient, caller: Callable[[str], TestClient]
    ) -> None:
        """Else their history could be read by whoever uses the id again elsewhere."""
        gone = self.delete_a_configuration_of_hidden(admin)
        grants = [
            {"role": "editor", "application": "shop"},
            {"role": "reader", "application": "hidden"},
        ]
        secrets = [
            ok(admin.simulate_post(f"{PREFIX}/tokens", json={"name": name, "grants": given}), 201)[
                "token"
            ]
            for name, given in (("stranger", grants[:1]), ("curious", grants))
        ]

        for secret in secrets:
            refused = caller(secret).simulate_post(
                f"{PREFIX}/applications/shop/configurations",
                json={"id": gone, "name": "mine", "config": {}},
            )
            problem(refused, 409, "/id")
        stranger = caller(secrets[0])
        problem(stranger.simulate_get(f"{PREFIX}/configurations/{gone}/revisions"), 404)

    def test_are_free_for_who_may_write_there_too(self, shop: Json, admin: TestClient) -> None:
        gone = self.delete_a_configuration_of_hidden(admin)

        again = admin.simulate_post(
            f"{PREFIX}/applications/shop/configurations",
            json={"id": gone, "name": "mine", "config": {}},
        )

        assert ok(again, 201)["version"] == 2

    @staticmethod
    def delete_a_configuration_of_hidden(admin: TestClient) -> str:
        made = admin.simulate_post(
            f"{PREFIX}/applications/hidden/configurations",
            json={"name": "vault", "config": {"pin": "1234"}},
        )
        key: str = ok(made, 201)["id"]
        assert admin.simulate_delete(f"{PREFIX}/configurations/{key}").status_code == 204
        return key
