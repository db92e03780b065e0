"""A search for a text, and a far offset, take a bounded part of the server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from falcon.testing import TestClient

from configsvc_server.app import Runtime
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.repositories.pages import search
from configsvc_server.services.searches import Searches
from tests.server.http.support import create, ok, problem
from tests.support.postgres import wait_for_lock

LISTS = ("/api/v1/applications", "/api/v1/configurations")


@pytest.fixture(autouse=True)
def _database(api: TestClient) -> None:
    ok(api.simulate_post("/api/v1/applications", json={"name": "billing"}), 201)
    create(api, "database", {})


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Let nobody read a table while the block runs, so that a search of it takes for ever."""
    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


@pytest.mark.parametrize("table", ["applications", "configurations"])
def test_a_search_that_takes_too_long_ends_and_says_what_to_do(
    api: TestClient, database_url: str, table: str
) -> None:
    with locked(database_url, table):
        result = api.simulate_get(f"/api/v1/{table}", params={"q": "data"})

    (error,) = problem(result, 422, "/q")["errors"]
    assert "narrow it by the application" in error["message"]


def test_the_bound_of_a_search_does_not_stay_with_the_connection(
    api: TestClient, database: Database
) -> None:
    with database.autocommit() as connection:
        before = connection.execute("SHOW statement_timeout").fetchone()
        with search(connection, "text"):
            assert connection.execute("SHOW statement_timeout").fetchone() == ("2s",)
        assert connection.execute("SHOW statement_timeout").fetchone() == before != ("2s",)


def test_others_are_refused_while_as_many_search_as_may(
    api: TestClient, runtime: Runtime, database_url: str
) -> None:
    results = []

    def search() -> None:
        results.append(api.simulate_get("/api/v1/configurations", params={"q": "data"}))

    with locked(database_url, "configurations"):
        threads = [threading.Thread(target=search) for _ in range(Searches.LIMIT)]
        for thread in threads:
            thread.start()
        wait_for_lock(database_url, waiting=Searches.LIMIT)

        refused = api.simulate_get("/api/v1/configurations", params={"q": "data"})
        ok(api.simulate_get("/api/v1/applications", params={"q": "bill"}))

        for thread in threads:
            thread.join(20)
    problem(refused, 503)
    assert refused.headers["retry-after"] == "2"
    assert [result.status_code for result in results] == [422] * Searches.LIMIT
    ok(api.simulate_get("/api/v1/configurations", params={"q": "data"}))


def test_a_slot_is_free_again_after_a_failure() -> None:
    searches = Searches()

    for _ in range(2 * Searches.LIMIT):
        with pytest.raises(UnavailableError), searches.slot("text"):
            raise UnavailableError("the database is away")


@pytest.mark.parametrize("path", LISTS)
def test_a_far_offset_is_refused_and_leads_to_the_cursor(api: TestClient, path: str) -> None:
    ok(api.simulate_get(path, params={"offset": 10_000}))

    (error,) = problem(api.simulate_get(path, params={"offset": 10_001}), 422, "/offset")["errors"]
    assert "'next' of a page as 'after'" in error["message"]


def test_searches_have_an_index_where_postgresql_has_the_extension(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'"
        ).fetchone() or (0,)
        indexes = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE indexname LIKE '%\\_text\\_idx' ORDER BY 1"
        ).fetchall()

    names = [("applications_text_idx",), ("configurations_text_idx",)]
    assert indexes == (names if count else [])
