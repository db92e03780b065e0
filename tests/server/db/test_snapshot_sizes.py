"""The database knows how large each snapshot is, whatever was written."""

from typing import Any

import psycopg
import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.server.http.support import create, ok

MEASURED = """
    SELECT application_id, environment,
           sum(256 + octet_length(served_versions.name) + revisions.size)
    FROM served_versions JOIN revisions USING (application_id, configuration_id, version)
    GROUP BY application_id, environment
"""

ENVIRONMENTS = "/api/v1/applications/billing/environments"


def sizes(url: str, query: str) -> set[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return {tuple(row) for row in connection.execute(query.encode()) if row[2]}


@pytest.mark.slow
@given(acts=st.lists(st.integers(0, 7), max_size=10))
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_it_is_what_a_sum_gives_whatever_is_done(
    api: TestClient, database_url: str, acts: list[int]
) -> None:
    api.simulate_post("/api/v1/applications", json={"name": "billing"})
    api.simulate_post(ENVIRONMENTS, json={"name": "held", "auto_release": False})
    for number, act in enumerate(acts):
        made = ok(api.simulate_get("/api/v1/applications/billing/configurations"))["items"]
        path = f"/api/v1/configurations/{made[number % len(made)]['id']}" if made else ""
        match act:
            case 0 | 1:
                name = f"c{len(made)}-{number}"
                api.simulate_post(
                    "/api/v1/applications/billing/configurations",
                    json={"name": name, "config": {"n": "x" * number}},
                )
            case 2 if made:
                api.simulate_patch(path, json={"config": {"n": [number]}, "name": f"r{number}"})
            case 3 if made:
                api.simulate_post(f"{path}/releases", json={"environment": "held"})
            case 4 if made:
                body = {"environment": "default", "version": None}
                api.simulate_post(f"{path}/releases", json=body)
            case 5 if made:
                api.simulate_delete(path)
            case 6:
                body = {"from": "default", "to": "held"}
                api.simulate_post("/api/v1/applications/billing/promote", json=body)
            case 7:
                api.simulate_delete(f"{ENVIRONMENTS}/dev")
                api.simulate_post(ENVIRONMENTS, json={"name": "dev"})

    assert sizes(database_url, "SELECT * FROM snapshot_sizes") == sizes(database_url, MEASURED)


def test_a_snapshot_is_not_larger_than_what_is_counted(api: TestClient, database_url: str) -> None:
    ok(api.simulate_post("/api/v1/applications", json={"name": "billing"}), 201)
    for number in range(5):
        create(
            api,
            f"{number}" * 100,
            {},
            overlays={"default": {"größe": number}},
            schema={"properties": {"größe": {"default": 1}}},
        )

    snapshot = api.simulate_get(f"{ENVIRONMENTS}/default/snapshot").content

    ((_, _, amount),) = sizes(database_url, "SELECT * FROM snapshot_sizes")
    # All but the frame around the configurations.
    assert len(snapshot) - 200 <= amount
