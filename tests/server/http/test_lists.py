"""Pages: by offset, by cursor, in every order."""

from itertools import pairwise
from typing import Any

import pytest
from falcon.testing import TestClient

from tests.server.http.support import ULID, problem

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"

Json = dict[str, Any]


@pytest.fixture
def five(api: TestClient) -> list[Json]:
    """Five applications, oldest first."""
    names = ["delta", "alpha", "echo", "charlie", "bravo"]
    return [api.simulate_post(APPLICATIONS, json={"name": name}).json for name in names]


def names(page: Json) -> list[str]:
    return [item["name"] for item in page["items"]]


def follow(api: TestClient, path: str, **params: str) -> list[Json]:
    """Read a list to its end by cursor."""
    page = api.simulate_get(path, params=params).json
    items = list(page["items"])
    while page["next"]:
        page = api.simulate_get(path, params={**params, "after": page["next"]}).json
        items += page["items"]
    return items


def test_an_empty_list_is_a_page(api: TestClient) -> None:
    assert api.simulate_get(APPLICATIONS).json == {
        "items": [],
        "total": 0,
        "limit": 50,
        "offset": 0,
        "has_more": False,
        "next": None,
    }


def test_items_come_oldest_first(api: TestClient, five: list[Json]) -> None:
    page = api.simulate_get(APPLICATIONS).json

    assert [item["id"] for item in page["items"]] == sorted(item["id"] for item in five)
    assert page["total"] == 5
    assert page["has_more"] is False


def test_pages_by_offset(api: TestClient, five: list[Json]) -> None:
    pages = [
        api.simulate_get(APPLICATIONS, params={"limit": 2, "offset": offset, "sort": "name"}).json
        for offset in (0, 2, 4, 6)
    ]

    assert [names(page) for page in pages] == [
        ["alpha", "bravo"],
        ["charlie", "delta"],
        ["echo"],
        [],
    ]
    assert [page["has_more"] for page in pages] == [True, True, False, False]
    assert {page["total"] for page in pages} == {5}
    assert pages[1]["limit"] == 2
    assert pages[1]["offset"] == 2


@pytest.mark.parametrize("sort", ["id", "-id", "name", "-name", "updated_at", "-updated_at"])
def test_a_cursor_meets_every_item_once_in_order(
    api: TestClient, five: list[Json], sort: str
) -> None:
    items = follow(api, APPLICATIONS, limit="2", sort=sort)

    field = sort.removeprefix("-")
    values = [item[field] for item in items]
    assert values == sorted(values, reverse=sort.startswith("-"))
    assert len(items) == 5


def test_a_cursor_is_not_upset_by_changes(api: TestClient, five: list[Json]) -> None:
    page = api.simulate_get(APPLICATIONS, params={"limit": 2, "sort": "name"}).json
    api.simulate_delete(f"{APPLICATIONS}/bravo")  # where the cursor stands
    api.simulate_post(APPLICATIONS, json={"name": "aaa"})  # before it
    api.simulate_post(APPLICATIONS, json={"name": "coda"})  # after it

    rest = follow(api, APPLICATIONS, after=page["next"])

    assert [item["name"] for item in rest] == ["charlie", "coda", "delta", "echo"]


def test_a_cursor_knows_its_order(api: TestClient, five: list[Json]) -> None:
    token = api.simulate_get(APPLICATIONS, params={"limit": 2, "sort": "-name"}).json["next"]

    page = api.simulate_get(APPLICATIONS, params={"after": token}).json

    assert names(page) == ["charlie", "bravo", "alpha"]
    problem(api.simulate_get(APPLICATIONS, params={"after": token, "sort": "id"}), 422, "/sort")


def test_the_link_header_leads_to_the_next_page(api: TestClient, five: list[Json]) -> None:
    result = api.simulate_get(APPLICATIONS, params={"limit": 3, "sort": "name", "q": "a"})
    link = result.headers["link"]
    assert link.startswith("</api/v1/applications?")
    assert link.endswith('>; rel="next"')

    path, query = link[1 : link.index(">")].split("?")

    following = api.simulate_get(path, query_string=query)
    assert names(result.json) == ["alpha", "bravo", "charlie"]
    assert names(following.json) == ["delta"]
    assert "link" not in following.headers


def test_filters_by_name(api: TestClient, five: list[Json]) -> None:
    page = api.simulate_get(APPLICATIONS, params={"name": "echo"}).json

    assert names(page) == ["echo"]
    assert page["total"] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LPH", ["alpha"]),
        ("payments", ["100%_done"]),
        ("%", ["100%_done"]),
        ("_", ["100%_done"]),
        ("!", []),
        ("\\", []),
        ("zzz", []),
    ],
)
def test_searches_names_and_comments(
    api: TestClient, five: list[Json], text: str, expected: list[str]
) -> None:
    api.simulate_post(APPLICATIONS, json={"name": "100%_done", "comments": "of Payments"})

    page = api.simulate_get(APPLICATIONS, params={"q": text}).json

    assert names(page) == expected
    assert page["total"] == len(expected)


def test_configurations_filter_by_application_name_and_text(
    api: TestClient, database_config: Json
) -> None:
    nested = f"{APPLICATIONS}/billing/configurations"
    api.simulate_post(nested, json={"name": "cache", "comments": "of the database", "config": {}})
    other = api.simulate_post(APPLICATIONS, json={"name": "other"}).json
    api.simulate_post(
        f"{APPLICATIONS}/other/configurations", json={"name": "database", "config": {}}
    )

    def found(**params: str) -> list[str]:
        items = api.simulate_get(CONFIGURATIONS, params=params).json["items"]
        return [f"{item['application_id'] == other['id']:d} {item['name']}" for item in items]

    assert found(application_id=database_config["application_id"].lower()) == [
        "0 database",
        "0 cache",
    ]
    assert found(name="database") == ["0 database", "1 database"]
    assert found(q="DATABASE", application_id=other["id"]) == ["1 database"]
    assert found(application_id=ULID) == []


def test_configurations_page_by_cursor_in_every_order(api: TestClient, billing: Json) -> None:
    nested = f"{APPLICATIONS}/billing/configurations"
    for name in "cab":
        api.simulate_post(nested, json={"name": name, "config": {}})

    for sort in ("id", "-name", "updated_at"):
        items = follow(api, nested, limit="1", sort=sort)
        values = [item[sort.removeprefix("-")] for item in items]
        assert len(items) == 3
        assert all((a > b) == sort.startswith("-") for a, b in pairwise(values))


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=1001", "/limit"),
        ("limit=x", "/limit"),
        ("limit=", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("limit=%2B5", "/limit"),
        ("limit=%D9%A1", "/limit"),
        ("limit=1_0", "/limit"),
        ("offset=-1", "/offset"),
        ("offset=99999999999999999999", "/offset"),
        ("sort=size", "/sort"),
        ("after=nonsense", "/after"),
        ("name=", "/name"),
        ("name=a%00", "/name"),
        ("q=" + "x" * 257, "/q"),
        ("application_id=billing", "/application_id"),
        ("limt=5", "/limt"),
    ],
)
def test_a_wrong_parameter_is_named(api: TestClient, query: str, pointer: str) -> None:
    document = problem(api.simulate_get(CONFIGURATIONS, query_string=query), 422, pointer)

    assert document["errors"][0]["in"] == "query"


def test_every_wrong_parameter_is_named_at_once(api: TestClient) -> None:
    query = "limit=0&offset=x&sort=y&colour=red"

    result = api.simulate_get(APPLICATIONS, query_string=query)

    problem(result, 422, "/colour", "/limit", "/offset", "/sort")


def test_a_parameter_that_a_list_does_not_have_is_named_once(api: TestClient) -> None:
    problem(api.simulate_get("/api/v1/changes", params={"offset": "x"}), 422, "/offset")
