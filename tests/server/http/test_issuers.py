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
from tests.support.issuers import AUDIENCE, StubIssuer, new_key, public, stub_issuer
from tests.support.servers import running_server
from tests.support.waiting import until

HERE = "https://config.example.com"
COOKIE = "__Host-configsvc-session"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": HERE}


@pytest.fixture
def issuer() -> Iterator[StubIssuer]:
    with stub_issuer() as issuer:
        yield issuer


@pytest.fixture
def auth_settings(issuer: StubIssuer, tmp_path: Path) -> Settings:
    """Settings with one issuer."""
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
    return Settings.model_construct(
        migrate=False,
        auth="required",
        auth_file=path,
        public_url=HERE,
        allowed_hosts=("*",),
    )


@pytest.fixture
def http(auth_settings: Settings, database_url: str) -> Iterator[falcon.testing.TestClient]:
    with open_services(auth_settings, database_url) as runtime:
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
    http: falcon.testing.TestClient, job: dict[str, str], database_url: str
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
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE tokens SET previous_expires_at = now() WHERE name = 'alice'")
    # Any change of a token has what is remembered of all forgotten.
    http.simulate_post(
        "/api/v1/tokens", json={"name": "bob", "grants": [{"role": "reader"}]}, headers=job
    )

    assert statuses() == [401, 200]


@pytest.mark.parametrize("ends", ["DELETE FROM tokens", "UPDATE tokens SET expires_at = now()"])
def test_a_session_ends_with_its_token(
    http: falcon.testing.TestClient, job: dict[str, str], database_url: str, ends: str
) -> None:
    created = http.simulate_post(
        "/api/v1/tokens", json={"name": "alice", "grants": [{"role": "reader"}]}, headers=job
    ).json
    signed_in = http.simulate_post("/auth/token", body=f"token={created['token']}", headers=FORM)
    cookie = {"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE].value}"}
    assert http.simulate_get("/api/v1/me", headers=cookie).status_code == 200

    with psycopg.connect(database_url, autocommit=True) as connection:
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


def me_after_a_restart(auth_settings: Settings, database_url: str, headers: dict[str, str]) -> int:
    with open_services(auth_settings, database_url) as runtime:
        client = falcon.testing.TestClient(runtime.app)
        return int(client.simulate_get("/api/v1/me", headers=headers).status_code)


def keep_keys(auth_settings: Settings, database_url: str, kid: str = "k1") -> None:
    """Run a server while its issuer can be reached, until it has kept a key."""

    def is_kept() -> bool:
        with psycopg.connect(database_url) as connection:
            row = connection.execute("SELECT document::text FROM issuer_keys").fetchone()
        return row is not None and f'"{kid}"' in row[0]

    with open_services(auth_settings, database_url):
        until(is_kept)


def test_a_server_that_starts_during_an_outage_knows_the_keys_of_before(
    auth_settings: Settings, database_url: str, job: dict[str, str], issuer: StubIssuer
) -> None:
    keep_keys(auth_settings, database_url)
    issuer.is_down = True
    forged = issuer.token(key=new_key("k1"), repository="acme/shop", ref="x")

    assert me_after_a_restart(auth_settings, database_url, job) == 200
    headers = {"Authorization": f"Bearer {forged}"}
    assert me_after_a_restart(auth_settings, database_url, headers) == 401


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE issuer_keys SET fetched_at = now() - interval '25 hours'",
        "UPDATE issuer_keys SET document = '{}'",
        """UPDATE issuer_keys SET document = '{"jwks_uri": null, "discovery": 1, "keys": 2}'""",
        """UPDATE issuer_keys SET document =
        '{"jwks_uri": null, "discovery": {"issuer": "https://evil.example"}, "keys": []}'""",
        "DELETE FROM issuer_keys",
    ],
)
def test_keys_that_are_old_or_of_somebody_else_are_not_taken_into_use(
    auth_settings: Settings,
    database_url: str,
    job: dict[str, str],
    issuer: StubIssuer,
    change: str,
) -> None:
    keep_keys(auth_settings, database_url)
    issuer.is_down = True
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(change.encode())

    assert me_after_a_restart(auth_settings, database_url, job) == 503


def test_a_key_that_was_withdrawn_before_the_restart_is_not_kept(
    auth_settings: Settings, database_url: str, job: dict[str, str], issuer: StubIssuer
) -> None:
    keep_keys(auth_settings, database_url)
    issuer.published = [public(new_key("k2"))]
    keep_keys(auth_settings, database_url, "k2")
    issuer.is_down = True

    assert me_after_a_restart(auth_settings, database_url, job) == 401


def test_only_what_is_public_is_kept(
    auth_settings: Settings, database_url: str, issuer: StubIssuer
) -> None:
    """Even if the issuer publishes more, by mistake."""
    private = dict(issuer.key.as_dict(private=True))
    issuer.published = [private, dict(new_key("s", "oct").as_dict(private=True))]
    keep_keys(auth_settings, database_url)

    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT document FROM issuer_keys").fetchone()

    assert row is not None
    (kept,) = row[0]["keys"]
    assert kept["kid"] == "k1"
    assert "d" in private
    assert kept.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi", "k"})


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
