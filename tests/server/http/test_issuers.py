"""Issuers and sessions in the whole server, as the settings wire them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import psycopg
import pytest
import requests

from configsvc_server.app import open_services
from configsvc_server.identity.settings import AuthFileError
from configsvc_server.identity.verification import MAX_TOKEN
from configsvc_server.settings import Settings, SettingsError, load_settings
from tests.support.issuers import AUDIENCE, StubIssuer, stub_issuer
from tests.support.servers import running_server

HERE = "https://config.example.com"
COOKIE = "__Host-configsvc-session"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": HERE}


@pytest.fixture
def issuer() -> Iterator[StubIssuer]:
    with stub_issuer() as issuer:
        yield issuer


@pytest.fixture
def http(
    issuer: StubIssuer, new_database_url: str, tmp_path: Path
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
    with open_services(settings, new_database_url) as runtime:
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


def test_a_session_begun_with_the_secret_before_a_rotation_ends_with_the_overlap(
    http: falcon.testing.TestClient, job: dict[str, str], new_database_url: str
) -> None:
    created = http.simulate_post(
        "/api/v1/tokens", json={"name": "alice", "grants": [{"role": "reader"}]}, headers=job
    ).json
    url = f"/api/v1/tokens/{created['id']}/rotate"
    rotated = http.simulate_post(url, json={"overlap": 600}, headers=job).json
    cookies = []
    for secret in (created["token"], rotated["token"]):
        signed_in = http.simulate_post("/auth/token", body=f"token={secret}", headers=FORM)
        cookies.append({"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE].value}"})

    def statuses() -> list[int]:
        return [http.simulate_get("/api/v1/me", headers=each).status_code for each in cookies]

    assert statuses() == [200, 200]
    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute("UPDATE tokens SET previous_expires_at = now() WHERE name = 'alice'")
    # Any change of a token has what is remembered of all forgotten.
    http.simulate_post(
        "/api/v1/tokens", json={"name": "bob", "grants": [{"role": "reader"}]}, headers=job
    )

    assert statuses() == [401, 200]


@pytest.mark.parametrize("ends", ["DELETE FROM tokens", "UPDATE tokens SET expires_at = now()"])
def test_a_session_ends_with_its_token(
    http: falcon.testing.TestClient, job: dict[str, str], new_database_url: str, ends: str
) -> None:
    created = http.simulate_post(
        "/api/v1/tokens", json={"name": "alice", "grants": [{"role": "reader"}]}, headers=job
    ).json
    signed_in = http.simulate_post("/auth/token", body=f"token={created['token']}", headers=FORM)
    cookie = {"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE].value}"}
    assert http.simulate_get("/api/v1/me", headers=cookie).status_code == 200

    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute(f"{ends} WHERE name = 'alice'".encode())
    http.simulate_post(
        "/api/v1/tokens", json={"name": "bob", "grants": [{"role": "reader"}]}, headers=job
    )

    assert http.simulate_get("/api/v1/me", headers=cookie).status_code == 401


def test_sign_ins_are_shown_to_administrators_of_the_installation_alone(
    http: falcon.testing.TestClient, job: dict[str, str]
) -> None:
    http.simulate_post("/api/v1/applications", json={"name": "shop"}, headers=job)
    secrets = {
        name: http.simulate_post(
            "/api/v1/tokens", json={"name": name, "grants": [grant]}, headers=job
        ).json["token"]
        for name, grant in {
            "alice": {"role": "admin"},
            "bob": {"role": "releaser"},
            "cleo": {"role": "admin", "application": "shop"},
        }.items()
    }
    signed_in = http.simulate_post("/auth/token", body=f"token={secrets['alice']}", headers=FORM)
    cookie = f"{COOKIE}={signed_in.cookies[COOKIE].value}"
    http.simulate_post("/auth/sign-out", headers={"Origin": HERE, "Cookie": cookie})

    found = {
        name: http.simulate_get(
            "/api/v1/changes",
            params={"entity": "session", "sort": "-id"},
            headers={"Authorization": f"Bearer {secret}"},
        ).json["items"]
        for name, secret in secrets.items()
    }

    assert [(each["action"], each["actor"]) for each in found["alice"]] == [
        ("delete", "token:alice"),
        ("create", "token:alice"),
    ]
    assert (found["bob"], found["cleo"]) == ([], [])
    assert all(secret not in str(found) for secret in secrets.values())


def test_sign_ins_are_paged_and_filtered_by_action(
    http: falcon.testing.TestClient, job: dict[str, str]
) -> None:
    created = http.simulate_post(
        "/api/v1/tokens", json={"name": "alice", "grants": [{"role": "reader"}]}, headers=job
    ).json
    for _ in range(3):
        http.simulate_post("/auth/token", body=f"token={created['token']}", headers=FORM)

    params = {"entity": "session", "action": "create", "limit": "2"}
    first = http.simulate_get("/api/v1/changes", params=params, headers=job).json
    second = http.simulate_get(
        "/api/v1/changes", params={**params, "after": first["next"]}, headers=job
    ).json

    assert [len(page["items"]) for page in (first, second)] == [2, 1]
    assert (first["has_more"], second["has_more"]) == (True, False)


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


def test_a_mistake_in_the_file_ends_the_start(new_database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "auth.toml"
    path.write_text("issuer = []")
    settings = Settings.model_construct(migrate=False, auth="required", auth_file=path)

    with (
        pytest.raises(AuthFileError, match="issuer: is no setting"),
        open_services(settings, new_database_url),
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


def test_a_token_as_long_as_it_may_be_is_accepted_and_a_longer_one_refused(
    http: falcon.testing.TestClient, issuer: StubIssuer
) -> None:
    def sent(room: int) -> tuple[int, int]:
        """Send the largest token that is no longer than this; return its length and the status."""
        claims: Any = {"repository": "acme/shop", "ref": "main"}
        spare = room - len(issuer.token(**claims, pad=""))
        tokens = (issuer.token(**claims, pad="x" * (spare * 3 // 4 - n)) for n in range(5))
        token = next(token for token in tokens if len(token) <= room)
        with running_server(http.app) as server:
            answer = requests.get(
                f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=10
            )
        return len(token), answer.status_code

    length, status = sent(MAX_TOKEN)
    assert (length >= MAX_TOKEN - 1, status) == (True, 200)
    length, status = sent(MAX_TOKEN + 2)
    assert (length > MAX_TOKEN, status) == (True, 401)
