"""What an earlier version has written is there after the migrations of this one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from falcon.testing import TestClient

from configsvc_server.app import serve_database
from configsvc_server.db.migrations import Migrator, default_folder
from configsvc_server.settings import Settings

APPLICATION = "01JD8W5Q0Z4T9G7M2N3P4Q5R6S"
KEPT = "01JD8W5Q0Z4T9G7M2N3P4Q5R6T"
GONE = "01JD8W5Q0Z4T9G7M2N3P4Q5R6V"

# As a server before environments wrote it: every write at its own moment.
ACTS = [
    ("2026-01-01T00:00:00Z", "create", KEPT, "kept", 1, '{"v": 1}'),
    ("2026-01-02T00:00:00Z", "create", GONE, "gone", 1, '{"g": 1}'),
    ("2026-01-03T00:00:00Z", "update", KEPT, "renamed", 2, '{"v": 2}'),
    ("2026-01-04T00:00:00Z", "delete", GONE, "gone", 1, None),
]

Json = dict[str, Any]


def write_as_before(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO applications VALUES (%s, 'billing', NULL, %s, %s)",
            [APPLICATION, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
        )
        connection.execute(
            "INSERT INTO changes (action, entity, application_id, name, actor, created_at) "
            "VALUES ('create', 'application', %s, 'billing', 'me', '2026-01-01T00:00:00Z')",
            [APPLICATION],
        )
        for moment, action, configuration, name, version, config in ACTS:
            if config is not None:
                connection.execute(
                    "INSERT INTO revisions VALUES "
                    "(%s, %s, %s, %s, NULL, %s, repeat('0', 64), 'me', 'why', %s)",
                    [configuration, version, APPLICATION, name, config, moment],
                )
            connection.execute(
                "INSERT INTO changes (action, entity, application_id, configuration_id, name, "
                "version, actor, message, created_at) "
                "VALUES (%s, 'configuration', %s, %s, %s, %s, 'me', 'why', %s)",
                [action, APPLICATION, configuration, name, version, moment],
            )
        connection.execute(
            "INSERT INTO configurations VALUES "
            "(%s, %s, 'renamed', NULL, '{\"v\": 2}', 2, %s, %s, 'me')",
            [KEPT, APPLICATION, "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"],
        )


@pytest.fixture
def api(settings: Settings, empty_database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    """A server of now over a database of before."""
    before = tmp_path / "before"
    before.mkdir()
    for file in sorted(default_folder().glob("000[12]_*.sql")):
        shutil.copy(file, before)
    Migrator(empty_database_url, folder=before).up()
    write_as_before(empty_database_url)
    Migrator(empty_database_url).up()
    with serve_database(settings, empty_database_url) as runtime:
        yield TestClient(runtime.app)


def served(api: TestClient, at: str | None = None) -> Json:
    path = "/api/v1/applications/billing/environments/default/snapshot"
    found = api.simulate_get(path, params={"at": at} if at else None).json["configurations"]
    return {name: entry["config"] for name, entry in found.items()}


def test_default_serves_the_newest_versions(api: TestClient) -> None:
    assert served(api) == {"renamed": {"v": 2}}


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (1, {"kept": {"v": 1}}),
        (2, {"kept": {"v": 1}, "gone": {"g": 1}}),
        (3, {"renamed": {"v": 2}, "gone": {"g": 1}}),
        (4, {"renamed": {"v": 2}}),
    ],
)
def test_past_moments_can_be_told(api: TestClient, day: int, expected: Json) -> None:
    assert served(api, f"2026-01-0{day}T12:00:00Z") == expected


def test_releases_have_authors_and_what_was_served_before(api: TestClient) -> None:
    found = api.simulate_get(f"/api/v1/configurations/{KEPT}/releases").json["items"]

    assert [(r["version"], r["previous_version"], r["author"]) for r in found] == [
        (1, None, "me"),
        (2, 1, "me"),
    ]


def test_lists_know_how_many_there_are(api: TestClient) -> None:
    assert api.simulate_get("/api/v1/applications").json["total"] == 1
    for path in ("/api/v1/configurations", "/api/v1/applications/billing/configurations"):
        assert api.simulate_get(path).json["total"] == 1


def test_what_was_deleted_can_be_restored(api: TestClient) -> None:
    restored = api.simulate_post(f"/api/v1/configurations/{GONE}/restore")

    assert restored.json["version"] == 2
    assert served(api) == {"renamed": {"v": 2}, "gone": {"g": 1}}
