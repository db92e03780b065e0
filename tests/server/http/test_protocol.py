"""Protocol of every path: ids, unknown paths, methods, CORS, unexpected errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from falcon.testing import TestClient

from configsvc_server.app import open_services
from configsvc_server.domain.identifiers import is_ulid
from configsvc_server.services.applications import ApplicationService
from configsvc_server.settings import Settings
from tests.server.http.support import problem

APPLICATIONS = "/api/v1/applications"


class TestRequestId:
    def test_one_is_made_for_each_request(self, api: TestClient) -> None:
        first, second = (api.simulate_get(APPLICATIONS).headers["x-request-id"] for _ in "ab")

        assert is_ulid(first)
        assert first != second

    def test_a_well_formed_one_is_kept(self, api: TestClient) -> None:
        result = api.simulate_get(APPLICATIONS, headers={"X-Request-ID": "abc-123/x"})

        assert result.headers["x-request-id"] == "abc-123/x"

    @pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é", 'a"b', "a,b"])
    def test_another_one_is_replaced(self, api: TestClient, given: str) -> None:
        result = api.simulate_get(APPLICATIONS, headers={"X-Request-ID": given})

        assert is_ulid(result.headers["x-request-id"])


class TestErrors:
    @pytest.mark.parametrize("path", ["/nope", "/api/v1", "/api/v2/applications", "/docs/x.js"])
    def test_an_unknown_path_is_a_problem(self, api: TestClient, path: str) -> None:
        document = problem(api.simulate_get(path), 404)

        assert document["instance"] == path

    def test_a_method_that_is_not_possible_is_told_which_are(self, api: TestClient) -> None:
        result = api.simulate_delete(APPLICATIONS)

        problem(result, 405)
        assert "POST" in result.headers["allow"]

    def test_an_unexpected_error_shows_no_details(
        self, api: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("a secret")

        monkeypatch.setattr(ApplicationService, "get", fail)

        result = api.simulate_get(f"{APPLICATIONS}/billing")

        problem(result, 500)
        assert "secret" not in result.text

    def test_problems_are_not_cached(self, api: TestClient) -> None:
        assert api.simulate_get("/nope").headers["cache-control"] == "no-store"


class TestCors:
    ORIGIN = "https://console.example"

    @pytest.fixture
    def open_api(self, settings: Settings, database_url: str) -> Iterator[TestClient]:
        with self.client(settings, database_url, (self.ORIGIN,)) as api:
            yield api

    @contextmanager
    def client(
        self, settings: Settings, url: str, origins: tuple[str, ...]
    ) -> Iterator[TestClient]:
        allowed = settings.model_copy(update={"cors_origins": origins})
        with open_services(allowed, url) as runtime:
            yield TestClient(runtime.app)

    def test_it_is_off_by_default(self, api: TestClient) -> None:
        result = api.simulate_get(APPLICATIONS, headers={"Origin": self.ORIGIN})

        assert not [name for name in result.headers if name.startswith("access-control")]

    def test_an_allowed_origin_may_read_the_headers_of_the_api(self, open_api: TestClient) -> None:
        result = open_api.simulate_get(APPLICATIONS, headers={"Origin": self.ORIGIN})

        assert result.headers["access-control-allow-origin"] == self.ORIGIN
        assert "ETag" in result.headers["access-control-expose-headers"]
        assert result.headers["vary"] == "Origin"

    def test_another_origin_may_not(self, open_api: TestClient) -> None:
        result = open_api.simulate_get(APPLICATIONS, headers={"Origin": "https://evil.example"})

        assert "access-control-allow-origin" not in result.headers
        assert result.headers["vary"] == "Origin"

    def test_an_error_can_be_read_too(self, open_api: TestClient) -> None:
        result = open_api.simulate_get("/nope", headers={"Origin": self.ORIGIN})

        assert result.headers["access-control-allow-origin"] == self.ORIGIN

    def test_a_preflight_is_answered(self, open_api: TestClient) -> None:
        result = open_api.simulate_options(
            f"{APPLICATIONS}/billing",
            headers={
                "Origin": self.ORIGIN,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "if-match, content-type",
            },
        )

        assert result.status_code == 200
        assert "PUT" in result.headers["access-control-allow-methods"]
        assert "if-match" in result.headers["access-control-allow-headers"]

    def test_a_star_allows_every_origin(self, settings: Settings, database_url: str) -> None:
        with self.client(settings, database_url, ("*",)) as api:
            result = api.simulate_get(APPLICATIONS, headers={"Origin": "https://any.example"})

        assert result.headers["access-control-allow-origin"] == "*"


class TestDocs:
    def test_the_root_leads_on(self, api: TestClient) -> None:
        index: dict[str, Any] = api.simulate_get("/").json

        for link in ("docs", "openapi", "health"):
            assert api.simulate_get(index[link]).status_code == 200

    def test_the_page_loads_nothing_from_another_host(self, api: TestClient) -> None:
        page = api.simulate_get("/docs")

        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "://" not in page.text

    @pytest.mark.parametrize(
        ("asset", "kind"),
        [
            ("swagger-ui.js", "text/javascript"),
            ("swagger-ui.css", "text/css"),
            ("start.js", "text/javascript"),
        ],
    )
    def test_its_assets_are_served_here_and_cached(
        self, api: TestClient, asset: str, kind: str
    ) -> None:
        assert f"docs/{asset}" in api.simulate_get("/docs").text

        result = api.simulate_get(f"/docs/{asset}")
        again = api.simulate_get(
            f"/docs/{asset}", headers={"If-None-Match": result.headers["etag"]}
        )

        assert result.status_code == 200
        assert result.headers["content-type"].startswith(kind)
        assert again.status_code == 304

    def test_large_assets_travel_compressed(self, api: TestClient) -> None:
        result = api.simulate_get("/docs/swagger-ui.js", headers={"Accept-Encoding": "gzip, br"})

        assert result.headers["content-encoding"] == "gzip"
        assert len(result.content) < 600_000
