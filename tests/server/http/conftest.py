"""Fixtures of the HTTP tests: an application and a configuration to start with."""

from typing import Any, TypeAlias

import falcon.testing
import pytest

Json: TypeAlias = dict[str, Any]


@pytest.fixture
def billing(api: falcon.testing.TestClient) -> Json:
    """An application."""
    result = api.simulate_post("/api/v1/applications", json={"name": "billing"})
    assert result.status_code == 201, result.text
    return dict(result.json)


@pytest.fixture
def database_config(api: falcon.testing.TestClient, billing: Json) -> Json:
    """A configuration of that application."""
    result = api.simulate_post(
        "/api/v1/configurations",
        json={
            "application_id": billing["id"],
            "name": "database",
            "config": {"host": "db", "pool": {"size": 10, "timeout": 1.0}},
        },
    )
    assert result.status_code == 201, result.text
    return dict(result.json)
