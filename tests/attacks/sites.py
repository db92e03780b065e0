"""Servers that persons sign in to, with or without a provider."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from benchmarks.processes import free_port

from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, openid_provider
from tests.support.servers import running_server
from tests.support.sign_in import SignInServer, sign_in_server

SESSION = "configsvc-session"
ATTEMPT = "configsvc-sign-in"


@dataclass
class Site:
    """Running server over a database of its own."""

    port: int
    server: SignInServer

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def own(self) -> dict[str, str]:
        return {"Origin": self.url}

    def me(self, browser: requests.Session) -> requests.Response:
        return browser.get(f"{self.url}/api/v1/me", timeout=30)


@dataclass
class Place:
    """Provider, and where its people come back to."""

    provider: OpenIdProvider
    port: int


@dataclass
class ProviderSite(Site):
    """Running server whose people sign in at a provider."""

    place: Place

    def begin(self, browser: requests.Session, return_to: str = "/docs") -> str:
        answer = browser.get(
            f"{self.url}/auth/corp/start",
            params={"return_to": return_to},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code == 303
        return answer.headers["Location"]

    def at_provider(self, browser: requests.Session, start: str, name: str = "alice") -> str:
        return self.place.provider.sign_in(browser, start, name)

    def come_back(self, browser: requests.Session, url: str) -> requests.Response:
        return browser.get(url, allow_redirects=False, timeout=30)

    def sign_in(self, browser: requests.Session, name: str = "alice") -> requests.Response:
        return self.come_back(browser, self.at_provider(browser, self.begin(browser), name))


@contextmanager
def provider_place() -> Iterator[Place]:
    """Run a provider that knows where its people come back to."""
    port = free_port()
    redirect_uri = f"http://localhost:{port}/auth/corp/callback"
    with openid_provider(free_port(), redirect_uri) as provider:
        yield Place(provider, port)


@contextmanager
def provider_site(place: Place, database_url: str, secret: Path) -> Iterator[ProviderSite]:
    """Run a server there.

    Args:
        place: the provider.
        database_url: a database of its own.
        secret: path of the file that the secret of the client goes to.
    """
    secret.write_text(CLIENT_SECRET + "\n")
    corp = {
        "name": "corp",
        "issuer": place.provider.url,
        "client_id": CLIENT_ID,
        "client_secret_file": str(secret),
        "scopes": ["openid", "email", "groups"],
        "groups_claim": "groups",
        "rules": [{"claims": {"groups": "releasers"}, "role": "releaser"}],
    }
    public_url = f"http://localhost:{place.port}"
    with (
        sign_in_server(database_url, [corp], public_url=public_url) as server,
        running_server(server.app, port=place.port),
    ):
        yield ProviderSite(place.port, server, place)


@contextmanager
def token_site(database_url: str) -> Iterator[Site]:
    """Run a server to whose pages people sign in with a token."""
    port = free_port()
    with (
        sign_in_server(database_url, public_url=f"http://localhost:{port}") as server,
        running_server(server.app, port=port),
    ):
        yield Site(port, server)
