"""OpenID provider of somebody else: canaille, in a process of its own.

Its own backend in memory finds any code of a client by any other, so it has SQLite in a file.

``python -m tests.support.openid_provider PORT REDIRECT_URI DATABASE``
"""

import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import requests

CLIENT_ID = "configsvc"
CLIENT_SECRET = "s3cret: of +configsvc/"
PASSWORDS = {"alice": "correct horse battery", "mallory": "staple of evil plans"}
GROUPS = {"releasers": ["alice"]}

_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class OpenIdProvider:
    """Provider that runs."""

    url: str

    def sign_in(self, browser: requests.Session, start: str, name: str) -> str:
        """Go through its pages as a person does; return where it sends the browser back to.

        Args:
            browser: keeps the cookies.
            start: address of its authorization endpoint, with a query.
            name: who signs in.
        """
        page = browser.get(start, timeout=30)
        for field, value in (("login", name), ("password", PASSWORDS[name])):
            found = _CSRF.search(page.text)
            assert found is not None, page.text
            page = browser.post(
                page.url,
                data={"csrf_token": found[1], field: value},
                allow_redirects=field == "login",
                timeout=30,
            )
        while True:
            location = urljoin(page.url, page.headers["Location"])
            if not location.startswith(self.url):
                return location
            page = browser.get(location, allow_redirects=False, timeout=30)


@contextmanager
def openid_provider(port: int, redirect_uri: str) -> Iterator[OpenIdProvider]:
    """Run the provider until the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="configsvc-provider-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(port), redirect_uri, f"{folder}/data"],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield OpenIdProvider(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def main(port: int, redirect_uri: str, database: str) -> None:
    from canaille import create_app
    from canaille.app import models
    from canaille.backends import Backend
    from canaille.oidc import provider
    from werkzeug.serving import make_server

    # Its access tokens have no id: two of one person in the same second would be one and the same,
    # which its own database refuses. Nobody here reads them.
    provider.generate_access_token = lambda *_, **__: secrets.token_urlsafe(32)
    app = create_app(
        {
            "SECRET_KEY": "of the provider of tests",
            "SERVER_NAME": f"127.0.0.1:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "sql", "SMTP": None},
            "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{database}"},
        }
    )
    with app.app_context():
        users = {
            name: models.User(
                user_name=name,
                family_name=name.title(),
                formatted_name=name.title(),
                emails=[f"{name}@example.com"],
                password=password,
            )
            for name, password in PASSWORDS.items()
        }
        for user in users.values():
            Backend.instance.save(user)
        for name, members in GROUPS.items():
            group = models.Group(display_name=name, members=[users[member] for member in members])
            Backend.instance.save(group)
        client = models.Client(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            client_name="configsvc",
            client_uri="http://127.0.0.1",
            redirect_uris=[redirect_uri],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "email", "groups"],
            token_endpoint_auth_method="client_secret_basic",
        )
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)
    server = make_server("127.0.0.1", port, app, threaded=True)
    print("ready", flush=True)  # noqa: T201 - what the test waits for
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
