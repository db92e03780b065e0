"""Health, liveness, readiness."""

import psycopg
import pytest
from falcon.testing import TestClient


@pytest.fixture
def database_url(new_database_url: str) -> str:
    """A database whose migrations a test may change."""
    return new_database_url


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/ready/"])
def test_all_is_well(api: TestClient, path: str) -> None:
    result = api.simulate_get(path)

    assert result.status_code == 200
    assert result.json["status"] == "pass"
    assert {name: c["status"] for name, c in result.json["checks"].items()} == {
        "database": "pass",
        "migrations": "pass",
    }


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM migrations", "is pending"),
        ("UPDATE migrations SET checksum = 'other'", "is changed"),
        ("INSERT INTO migrations VALUES ('9999_x.sql', '', now(), '1 s')", "is missing"),
    ],
)
def test_it_is_not_ready_unless_the_migrations_are_exactly_applied(
    api: TestClient, database_url: str, statement: str, expected: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())

    result = api.simulate_get("/health/ready")

    assert result.status_code == 503
    assert result.headers["retry-after"]
    check = result.json["checks"]["migrations"]
    assert check["status"] == "fail"
    assert expected in check["detail"]


def test_it_is_alive_whatever_the_database_does(api: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM migrations")

    assert api.simulate_get("/health/live").status_code == 200
