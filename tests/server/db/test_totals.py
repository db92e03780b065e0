"""Lists know how many rows there are without counting them."""

import psycopg
import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.server.http.support import ok

COUNTED = """
    SELECT 'application', '', count(*) FROM applications
    UNION ALL
    SELECT 'configuration', '', count(*) FROM configurations
    UNION ALL
    SELECT 'configuration', id, (
        SELECT count(*) FROM configurations WHERE application_id = applications.id
    ) FROM applications
"""


def totals(connection: psycopg.Connection, query: str) -> set[tuple[object, ...]]:
    return {tuple(row) for row in connection.execute(query.encode()) if row[2]}


@pytest.mark.slow
@given(acts=st.lists(st.sampled_from(["application", "one", "two", "less", "none"]), max_size=8))
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_they_are_what_a_count_gives_whatever_is_done(
    api: TestClient, database_url: str, acts: list[str]
) -> None:
    for act in acts:
        applications = ok(api.simulate_get("/api/v1/applications"))["items"]
        configurations = ok(api.simulate_get("/api/v1/configurations"))["items"]
        match act:
            case "application":
                body = {"name": f"a{len(applications)}"}
                api.simulate_post("/api/v1/applications", json=body)
            case "one" | "two" if applications:
                application = applications[0 if act == "one" else -1]["id"]
                body = {"name": f"c{len(configurations)}"}
                api.simulate_post(
                    f"/api/v1/applications/{application}/configurations",
                    json={**body, "config": {}},
                )
            case "less" if configurations:
                api.simulate_delete(f"/api/v1/configurations/{configurations[0]['id']}")
            case "none" if applications:
                api.simulate_delete(f"/api/v1/applications/{applications[0]['id']}")

    with psycopg.connect(database_url) as connection:
        assert totals(connection, "SELECT * FROM totals") == totals(connection, COUNTED)


def test_many_rows_of_one_statement_are_counted(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO applications SELECT '01JD8W5Q0Z4T9G7M2N3P4Q5R6' || n, 'a' || n, NULL, "
            "now(), now() FROM generate_series(0, 9) AS n"
        )
        assert totals(connection, "SELECT * FROM totals") == {("application", "", 10)}
        connection.execute("DELETE FROM applications WHERE name > 'a5'")
        assert totals(connection, "SELECT * FROM totals") == {("application", "", 6)}
