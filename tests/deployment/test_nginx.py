"""nginx as ``deploy/nginx/configsvc.conf`` configures it, before a server that wants tokens."""

import json
import socket
import ssl
import threading
import uuid
from collections.abc import Iterator

import pytest
import requests

from configsvc_client import ConfigClient
from tests.deployment.site import NAME, Site, nginx_site
from tests.support.postgres import fresh_database

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def site(
    cluster_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with (
        fresh_database(cluster_url, template=template) as url,
        nginx_site(url, tmp_path_factory.mktemp("site")) as site,
    ):
        yield site


@pytest.fixture
def api(site: Site) -> Iterator[requests.Session]:
    with site.api() as session:
        yield session


@pytest.fixture
def application(site: Site, api: requests.Session) -> str:
    """The URL of a new application."""
    name = f"shop-{uuid.uuid4().hex[:8]}"
    made = api.post(f"{site.url}/api/v1/applications", json={"name": name}, timeout=20)
    assert made.status_code == 201, made.text
    return f"{site.url}/api/v1/applications/{name}"


@pytest.fixture
def configuration(site: Site, api: requests.Session, application: str) -> str:
    """The URL of its configuration."""
    body = {"name": "database", "config": {"size": 1}}
    made = api.post(f"{application}/configurations", json=body, timeout=20)
    assert made.status_code == 201, made.text
    return f"{site.url}/api/v1/configurations/{made.json()['id']}"


@pytest.mark.parametrize(("path", "status"), [("/health/ready", 200), ("/api/v1/changes", 401)])
def test_it_answers_over_tls_and_browsers_stay_there(site: Site, path: str, status: int) -> None:
    with site.browser() as browser:
        answer = browser.get(site.url + path, timeout=20)

    assert answer.status_code == status
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_of_tls_are_refused(site: Site) -> None:
    context = ssl.create_default_context(cafile=str(site.authority))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1

    with (
        socket.create_connection(("127.0.0.1", site.https_port), timeout=20) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"),
    ):
        context.wrap_socket(plain, server_hostname=NAME)


def test_pages_over_plain_http_lead_to_https(site: Site) -> None:
    answer = requests.get(
        f"{site.plain_url}/docs?a=1",
        headers={"Host": "elsewhere.example"},
        allow_redirects=False,
        timeout=20,
    )

    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{NAME}/docs?a=1"


def test_the_api_is_refused_over_plain_http(site: Site) -> None:
    answer = requests.get(
        f"{site.plain_url}/api/v1/changes",
        headers={"Authorization": f"Bearer {site.token}"},
        allow_redirects=False,
        timeout=20,
    )

    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 403


def test_the_address_of_a_client_reaches_the_server(site: Site, api: requests.Session) -> None:
    with site.browser(address="127.0.0.9") as browser:
        signed_in = browser.post(
            f"{site.url}/auth/token",
            data={"token": site.token},
            headers={"Origin": f"https://{NAME}", "X-Forwarded-For": "10.6.6.6"},
            allow_redirects=False,
            timeout=20,
        )
    assert signed_in.status_code == 303, signed_in.text

    sessions = api.get(f"{site.url}/api/v1/sessions", timeout=20).json()["items"]
    assert [session["address"] for session in sessions] == ["127.0.0.9"]


def test_requests_for_another_name_are_refused(site: Site, api: requests.Session) -> None:
    answer = api.get(
        f"{site.url}/api/v1/changes", headers={"Host": "elsewhere.example"}, timeout=20
    )

    assert answer.status_code == 421


def test_a_request_waits_longer_than_nginx_by_default(
    site: Site, api: requests.Session, application: str, configuration: str
) -> None:
    snapshot = f"{application}/environments/default/snapshot"
    etag = api.get(snapshot, timeout=20).headers["ETag"]

    answer = api.get(snapshot, headers={"If-None-Match": etag, "Prefer": "wait=2"}, timeout=20)

    assert answer.status_code == 304
    assert answer.headers["Preference-Applied"] == "wait=2"


def test_a_client_hears_of_a_change_while_it_waits(
    site: Site, api: requests.Session, application: str, configuration: str
) -> None:
    changed = threading.Event()
    with ConfigClient(
        site.url, token=site.token, verify=str(site.authority), long_poll=60
    ) as client:
        view = client.application(application.rpartition("/")[2])
        assert view["database"]["size"] == 1
        view.on_change(lambda _: changed.set())

        api.patch(
            configuration,
            json={"config": {"size": 2}},
            headers={"Content-Type": "application/merge-patch+json"},
            timeout=20,
        )

        assert changed.wait(30)
        assert view["database"]["size"] == 2


def test_the_largest_body_of_the_server_passes(api: requests.Session, application: str) -> None:
    answer = _post_of_size(api, application, MIB)

    assert answer.status_code == 201, answer.text[:300]


def test_the_server_itself_refuses_a_larger_one(api: requests.Session, application: str) -> None:
    answer = _post_of_size(api, application, MIB + 1)

    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["limit"] == MIB


def test_nginx_refuses_what_is_larger_by_far(api: requests.Session, application: str) -> None:
    answer = _post_of_size(api, application, 2 * MIB + 1)

    assert answer.status_code == 413


def test_entity_tags_stay_as_the_server_has_made_them(
    api: requests.Session, configuration: str
) -> None:
    found = api.get(configuration, headers={"Accept-Encoding": "gzip"}, timeout=20)
    etag = found.headers["ETag"]

    written = api.patch(
        configuration,
        json={"config": {"size": 3}},
        headers={"If-Match": etag, "Content-Type": "application/merge-patch+json"},
        timeout=20,
    )

    assert not etag.startswith("W/")
    assert written.status_code == 200, written.text


def _post_of_size(api: requests.Session, application: str, size: int) -> requests.Response:
    body = json.dumps({"name": "large", "config": {"text": ""}})
    body = body.replace('""', f'"{"x" * (size - len(body))}"')
    assert len(body) == size
    return api.post(
        f"{application}/configurations",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=20,
    )
