"""One peer that asks for the compressed snapshots of many past times, beside those who follow."""

import gzip
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from falcon.testing import TestClient

from configsvc_server.settings import Settings
from tests.server.http.support import create, ok

ENVIRONMENT = "/api/v1/applications/billing/environments/default"
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with so little memory that few compressed snapshots fit into it."""
    return Settings.model_construct(
        data_dir=tmp_path, migrate=False, allowed_hosts=("*",), cache_bytes=8 * 40_000
    )


def text(seed: int) -> str:
    """Return a text of 20,000 characters that compresses to no less than 10,000 bytes."""
    return random.Random(seed).randbytes(10_000).hex()


def test_what_those_who_follow_are_sent_is_compressed_once(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(api.simulate_post("/api/v1/applications", json={"name": "billing"}), 201)
    database = create(api, "database", {"text": text(0)})
    times = []
    for seed in range(1, 10):
        path = f"/api/v1/configurations/{database['id']}"
        times.append(datetime.now(UTC).isoformat())
        ok(api.simulate_patch(path, json={"config": {"text": text(seed)}}))
    compressed: list[bytes] = []
    original = gzip.compress

    def compress(body: bytes, level: int = 9, *, mtime: float | None = None) -> bytes:
        compressed.append(body)
        return original(body, level, mtime=mtime)

    monkeypatch.setattr(gzip, "compress", compress)
    current = api.simulate_get(f"{ENVIRONMENT}/snapshot", headers=GZIP)
    assert current.headers["content-encoding"] == "gzip"

    for at in times:
        past = api.simulate_get(f"{ENVIRONMENT}/snapshot", params={"at": at}, headers=GZIP)
        assert past.headers["content-encoding"] == "gzip"
        assert b"database" in gzip.decompress(past.content)
    compressed.clear()

    again = api.simulate_get(f"{ENVIRONMENT}/snapshot", headers=GZIP)
    assert again.content == current.content
    assert compressed == []


@pytest.mark.parametrize(
    "headers",
    [
        {"A-IM": "configsvc-delta;q=0"},
        {"A-IM": "," * 5_000},
        {"A-IM": "configsvc-delta;" * 500},
        {"Accept-Encoding": "gzip;q=nan"},
        {"Accept-Encoding": "gzip;q=1e5"},
        {"Accept-Encoding": "gzip;;q=0"},
        {"Accept-Encoding": "," * 6_000},
        {"Accept-Encoding": "identity;q=0"},
        {"A-IM": "configsvc-delta", "If-None-Match": ",".join(f'"{n}"' for n in range(1_200))},
        {"A-IM": "configsvc-delta", "If-None-Match": '"' + "-gzip" * 1_000 + '"'},
    ],
)
def test_odd_preferences_get_the_whole_snapshot(api: TestClient, headers: dict[str, str]) -> None:
    ok(api.simulate_post("/api/v1/applications", json={"name": "billing"}), 201)
    create(api, "database", {"text": text(0)})
    plain = api.simulate_get(f"{ENVIRONMENT}/snapshot")

    result = api.simulate_get(f"{ENVIRONMENT}/snapshot", headers=headers)

    is_coded = result.headers.get("content-encoding") == "gzip"
    assert result.status_code == 200
    assert (gzip.decompress(result.content) if is_coded else result.content) == plain.content
