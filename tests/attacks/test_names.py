"""A new name is one that can be seen, put into a path and printed; existing ones stay usable."""

from typing import Any

import psycopg
import pytest
from falcon.testing import TestClient

from tests.server.http.support import create, ok, problem

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = f"{APPLICATIONS}/billing/configurations"

BAD = [
    " ",
    "\u00a0",
    " x",
    "x ",
    "x\n",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "\u202eexe.gnp",
    "a\u2066b",
    "a\u200bb",
    "\ufeffx",
    ".",
    "..",
]

GOOD = [
    "x",
    "...",
    ".x",
    "a b",
    "a/b c?d#e%",
    "Größe",
    "設定",
    "\N{GRINNING FACE}",
    # A family, and a Persian word: both have a joiner.
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "می\u200cخواهم",
]


@pytest.fixture(autouse=True)
def billing(api: TestClient) -> dict[str, Any]:
    """An application."""
    return dict(ok(api.simulate_post(APPLICATIONS, json={"name": "billing"}), 201))


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_what_is_no_name_is_refused_for_something_new(api: TestClient, name: str) -> None:
    for path, body in (
        (APPLICATIONS, {"name": name}),
        (CONFIGURATIONS, {"name": name, "config": {}}),
        (f"{APPLICATIONS}/billing/environments", {"name": name}),
    ):
        problem(api.simulate_post(path, json=body), 422, "/name")


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_what_is_no_name_is_refused_as_a_new_name(api: TestClient, name: str) -> None:
    one = f"/api/v1/configurations/{create(api, 'database', {})['id']}"
    application = f"{APPLICATIONS}/billing"

    for result in (
        api.simulate_put(one, json={"name": name, "config": {}}),
        api.simulate_patch(one, json={"name": name}),
        api.simulate_put(application, json={"name": name}),
        api.simulate_patch(application, json={"name": name}),
    ):
        problem(result, 422, "/name")
    assert ok(api.simulate_get(one))["version"] == 1


def test_a_validation_refuses_what_a_write_would(api: TestClient, billing: dict[str, Any]) -> None:
    made = create(api, "database", {})
    path = "/api/v1/configurations/validate"
    new = {"application_id": billing["id"], "name": "a\nb", "config": {}}

    problem(api.simulate_post(path, json=new), 422, "/name")
    problem(api.simulate_post(path, json={"id": made["id"], "name": "a\nb"}), 422, "/name")


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_names_of_every_script_are_accepted(api: TestClient, name: str) -> None:
    made = create(api, name, {})
    ok(api.simulate_post(APPLICATIONS, json={"name": name}), 201)

    assert ok(api.simulate_get(f"/api/v1/configurations/{made['id']}"))["name"] == name
    (found,) = ok(api.simulate_get(APPLICATIONS, params={"name": name}))["items"]
    assert found["name"] == name


def test_an_existing_name_can_be_read_kept_changed_and_deleted(
    api: TestClient, billing: dict[str, Any], database_url: str
) -> None:
    made = create(api, "database", {})
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE configurations SET name = E'a\\nb'")
        connection.execute("UPDATE applications SET name = ' '")
    one = f"/api/v1/configurations/{made['id']}"
    application = f"{APPLICATIONS}/{billing['id']}"

    assert ok(api.simulate_get(one))["name"] == "a\nb"
    ok(api.simulate_put(one, json={"name": "a\nb", "config": {"n": 1}}))
    ok(api.simulate_patch(one, json={"config": {"n": 2}}))
    ok(api.simulate_patch(application, json={"name": " ", "comments": "kept"}))
    assert ok(api.simulate_get(one))["config"] == {"n": 2}
    ok(api.simulate_patch(one, json={"name": "plain"}))
    assert ok(api.simulate_post(f"{one}/rollback", json={"version": 2}))["name"] == "a\nb"
    assert api.simulate_delete(one).status_code == 204
    assert ok(api.simulate_patch(application, json={"name": "plain"}))["name"] == "plain"


def test_the_openapi_document_says_what_a_name_is(api: TestClient) -> None:
    schemas = ok(api.simulate_get("/openapi.json"))["components"]["schemas"]

    for kind in ("Application", "Configuration"):
        assert "line breaks" in schemas[f"{kind}Name"]["description"]
        assert "\\u2028" in schemas[f"{kind}Create"]["properties"]["name"]["pattern"]
