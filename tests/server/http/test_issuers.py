"""Issuers and sessions in the whole server, as the settings wire them."""

from collections.abc import Iterator
from pathlib import Path

import falcon.testing
import pytest

from configsvc_server.app import open_services
from configsvc_server.identity.settings import AuthFileError
from configsvc_server.settings import Settings, SettingsError, load_settings
from tests.support.issuers import AUDIENCE, StubIssuer, stub_issuer

HERE = "https://config.example.com"
COOKIE = "__Host-configsvc-session"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": HERE}


@pytest.fixture
def issuer() -> Iterator[StubIssuer]:
    with stub_issuer() as issuer:
        yield issuer


@pytest.fixture
def http(
    issuer: StubIssuer, database_url: str, tmp_path: Path
) -> Iterator[falcon.testing.TestClient]:
    path = tmp_path / "auth.toml"
    path.write_text(f"""
[[issuers]]
name = "ci"
issuer = "{issuer.url}"
kind = "workload"
audiences = ["{AUDIENCE}"]
actor = "{{repository}}@{{ref}}"

[[issuers.rules]]
claims = {{ repository = "acme/shop" }}
role = "admin"
""")
    settings = Settings.model_construct(
        migrate=False,
        auth="required",
        auth_file=path,
        public_url=HERE,
        allowed_hosts=("*",),
    )
    with open_services(settings, database_url) as runtime:
        yield falcon.testing.TestClient(runtime.app)


@pytest.fixture
def job(issuer: StubIssuer) -> dict[str, str]:
    """The headers of a CI job."""
    token = issuer.token(repository="acme/shop", ref="refs/heads/main")
    return {"Authorization": f"Bearer {token}"}


def test_the_history_names_the_workload(
    http: falcon.testing.TestClient, job: dict[str, str]
) -> None:
    created = http.simulate_post("/api/v1/applications", json={"name": "shop"}, headers=job)

    assert created.status_code == 201
    (change,) = http.simulate_get("/api/v1/changes?entity=application", headers=job).json["items"]
    assert change["actor"] == "ci:acme/shop@refs/heads/main"


def test_who_no_rule_knows_sees_nothing(
    http: falcon.testing.TestClient, job: dict[str, str], issuer: StubIssuer
) -> None:
    http.simulate_post("/api/v1/applications", json={"name": "shop"}, headers=job)
    other = {"Authorization": f"Bearer {issuer.token(repository='evil/shop', ref='x')}"}

    assert http.simulate_get("/api/v1/applications/shop", headers=other).status_code == 404
    assert http.simulate_get("/api/v1/applications", headers=other).json["items"] == []


def test_a_session_ends_with_the_rotation_of_its_token(
    http: falcon.testing.TestClient, job: dict[str, str]
) -> None:
    created = http.simulate_post(
        "/api/v1/tokens", json={"name": "alice", "grants": [{"role": "reader"}]}, headers=job
    ).json
    signed_in = http.simulate_post("/auth/token", body=f"token={created['token']}", headers=FORM)
    cookie = {"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE].value}"}
    assert http.simulate_get("/api/v1/me", headers=cookie).json["name"] == "token:alice"
    url = f"/api/v1/tokens/{created['id']}/rotate"

    http.simulate_post(url, json={"overlap": 600}, headers=job)
    assert http.simulate_get("/api/v1/me", headers=cookie).status_code == 200
    http.simulate_post(url, json={"overlap": 0}, headers=job)

    assert http.simulate_get("/api/v1/me", headers=cookie).status_code == 401


def test_a_write_with_a_cookie_shows_a_token(
    http: falcon.testing.TestClient, job: dict[str, str]
) -> None:
    created = http.simulate_post(
        "/api/v1/tokens", json={"name": "alice", "grants": [{"role": "admin"}]}, headers=job
    ).json
    signed_in = http.simulate_post("/auth/token", body=f"token={created['token']}", headers=FORM)
    cookie = {"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE].value}"}
    me = http.simulate_get("/api/v1/me", headers=cookie).json

    forged = http.simulate_post("/api/v1/applications", json={"name": "a"}, headers=cookie)
    meant = http.simulate_post(
        "/api/v1/applications",
        json={"name": "a"},
        headers={**cookie, "X-CSRF-Token": me["csrf_token"], "Origin": HERE},
    )

    assert (forged.status_code, forged.json["type"]) == (403, "urn:configsvc:problem:csrf")
    assert meant.status_code == 201


def test_without_authentication_there_is_nothing_to_sign_in_at(
    api: falcon.testing.TestClient,
) -> None:
    assert api.simulate_get("/auth/sign-in").status_code == 404


def test_a_mistake_in_the_file_ends_the_start(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "auth.toml"
    path.write_text("issuer = []")
    settings = Settings.model_construct(migrate=False, auth="required", auth_file=path)

    with (
        pytest.raises(AuthFileError, match="issuer: is no setting"),
        open_services(settings, database_url),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Config.example.com", "https://config.example.com"),
        ("https://config.example.com/", "https://config.example.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_the_public_url_is_an_origin(url: str, expected: str) -> None:
    assert load_settings({"public_url": url}).browser_url == expected


@pytest.mark.parametrize(
    "url",
    ["config.example.com", "https://a/b", "ftp://a", "https://u@a", "https://a?b", "https://"],
)
def test_the_public_url_is_nothing_else(url: str) -> None:
    with pytest.raises(SettingsError, match="--public-url"):
        load_settings({"public_url": url})
