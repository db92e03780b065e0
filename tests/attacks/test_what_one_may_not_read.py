"""Random grants: no document, name, count or ETag of what one may not read, by any route.

Everything that is not to be read is changed, and nothing that a caller can get may differ.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import falcon.testing
import hypothesis
import pytest
from falcon.testing import TestClient
from hypothesis import strategies as st

from configsvc_server.app import Runtime
from configsvc_server.http import PREFIX
from configsvc_server.settings import Settings

Json: TypeAlias = dict[str, Any]
Seen: TypeAlias = dict[str, tuple[int, str, str | None]]

# The clock of this server and that of the database are compared time and again.
_LAST_SEEN = re.compile(r'"last_seen_at":"[^"]*"')

APPLICATIONS = ("app-one", "app-two")
ENVIRONMENTS = ("env-red", "env-green")

SCOPES = [
    {},
    *({"application": name} for name in APPLICATIONS),
    *(
        {"application": name, "environment": environment}
        for name in APPLICATIONS
        for environment in (*ENVIRONMENTS, "default")
    ),
]
GRANTS = st.lists(
    st.tuples(st.sampled_from(["reader", "editor", "releaser"]), st.sampled_from(SCOPES[1:])),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with which nobody may do anything without a token."""
    return settings.model_copy(update={"auth": "required", "rate_limit": None})


class World:
    """Two applications with two environments each, and marks of where each value belongs."""

    def __init__(self, runtime: Runtime) -> None:
        assert runtime.first_token is not None
        self._app = runtime.app
        self._names = itertools.count()
        self.admin = self.client(runtime.first_token.secret)
        self.ids: dict[str, str] = {}
        for application in APPLICATIONS:
            self._post("/applications", {"name": application})
            path = f"/applications/{application}"
            for environment in ENVIRONMENTS:
                self._post(f"{path}/environments", {"name": environment, "auto_release": False})
            for environment in ENVIRONMENTS:
                self._write(application, f"cfg-{environment}")
                self._release(application, f"cfg-{environment}", environment)
            self._write(application, "cfg-shared")
            for environment in ENVIRONMENTS:
                self._release(application, "cfg-shared", environment)
                self.poll(application, environment)

    def client(self, secret: str) -> TestClient:
        return falcon.testing.TestClient(self._app, headers={"Authorization": f"Bearer {secret}"})

    def token(self, grants: list[tuple[str, Mapping[str, str]]]) -> TestClient:
        body = {
            "name": f"token-{next(self._names)}",
            "grants": [{"role": role, **scope} for role, scope in grants],
        }
        return self.client(self._post("/tokens", body)["token"])

    def routes(self) -> Iterator[str]:
        """Yield every route to read, for everything that there is."""
        lists = ("/applications", "/configurations", "/changes", "/tokens", "/grants")
        yield from (f"{PREFIX}{path}" for path in lists)
        yield f"{PREFIX}/changes?sort=-id&limit=1"
        yield f"{PREFIX}/configurations?q=cfg"
        yield f"{PREFIX}/applications?q=app&sort=-updated_at"
        for application in APPLICATIONS:
            path = f"{PREFIX}/applications/{application}"
            yield from (path, f"{path}/configurations", f"{path}/environments")
            for environment in (*ENVIRONMENTS, "default"):
                yield f"{path}/environments/{environment}"
                yield f"{path}/environments/{environment}/snapshot"
                yield f"{path}/environments/{environment}/instances"
                yield f"{path}/environments/{environment}/instances/web-1"
                yield f"{path}/environments/{environment}/convergence"
        for configuration_id in self.ids.values():
            path = f"{PREFIX}/configurations/{configuration_id}"
            yield from (path, f"{path}/revisions", f"{path}/revisions/1", f"{path}/diff")
            yield from (f"{path}/releases", f"{path}/releases?environment=env-red")

    def seen_by(self, client: TestClient) -> Seen:
        """Return all that a caller gets to see."""
        seen: Seen = {}
        for route in self.routes():
            result = client.simulate_get(route)
            # The request id is another one each time, and says nothing.
            text = _LAST_SEEN.sub("", result.text)
            if result.status_code >= 400:
                text = result.json["detail"]
            seen[route] = (result.status_code, text, result.headers.get("etag"))
        return seen

    def poll(self, application: str, environment: str) -> None:
        """Let an instance of an environment poll."""
        path = f"{PREFIX}/applications/{application}/environments/{environment}/snapshot"
        mark = f"mark-{application}-{environment}"
        header = f'id="web-1", service="{mark}", host="{mark}"'
        result = self.admin.simulate_get(path, headers={"Configsvc-Instance": header})
        assert result.status_code == 200

    def change(self, application: str, environment: str) -> None:
        """Change what an environment serves, and what else there is of it."""
        name = f"cfg-new-{next(self._names)}"
        self._write(application, name)
        self._release(application, name, environment)
        path = f"/configurations/{self.ids[f'{application}/cfg-shared']}"
        mark = {"config": {"mark": f"{application}-{next(self._names)}"}}
        assert self.admin.simulate_patch(f"{PREFIX}{path}", json=mark).status_code == 200
        self._release(application, "cfg-shared", environment)
        self.poll(application, environment)
        del self.ids[f"{application}/{name}"]

    def _write(self, application: str, name: str) -> None:
        overlays = {
            environment: {"mark": f"mark-{application}-{environment}"}
            for environment in (*ENVIRONMENTS, "default")
        }
        body = {"name": name, "config": {"mark": "base"}, "overlays": overlays}
        created = self._post(f"/applications/{application}/configurations", body)
        self.ids[f"{application}/{name}"] = created["id"]

    def _release(self, application: str, name: str, environment: str) -> None:
        path = f"{PREFIX}/configurations/{self.ids[f'{application}/{name}']}/releases"
        result = self.admin.simulate_post(path, json={"environment": environment})
        assert result.status_code in {200, 201}, result.text

    def _post(self, path: str, body: object) -> Json:
        result = self.admin.simulate_post(f"{PREFIX}{path}", json=body)
        assert result.status_code == 201, result.text
        return dict(result.json)


def readable(
    grants: list[tuple[str, Mapping[str, str]]], application: str, environment: str
) -> bool:
    """Return whether any of some grants lets read an environment."""
    return any(
        scope.get("application") in {None, application}
        and scope.get("environment") in {None, environment}
        for _, scope in grants
    )


def whole(grants: list[tuple[str, Mapping[str, str]]], application: str) -> bool:
    """Return whether any of some grants lets read an application as a whole."""
    return any(
        scope.get("application") in {None, application} and "environment" not in scope
        for _, scope in grants
    )


def test_random_grants_show_nothing_of_what_they_do_not_let_read(runtime: Runtime) -> None:
    world = World(runtime)

    @hypothesis.settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    @hypothesis.given(GRANTS)
    def check(grants: list[tuple[str, Mapping[str, str]]]) -> None:
        client = world.token(grants)
        before = world.seen_by(client)
        text = "\n".join(text for status, text, _ in before.values() if status < 400)
        for application in APPLICATIONS:
            if not any(scope.get("application") == application for _, scope in grants):
                assert application not in text
            if whole(grants, application):
                continue
            for environment in (*ENVIRONMENTS, "default"):
                if not readable(grants, application, environment):
                    assert f"mark-{application}-{environment}" not in text
        for application in APPLICATIONS:
            if whole(grants, application):
                continue
            for environment in ENVIRONMENTS:
                # A new configuration is in default at once.
                if not readable(grants, application, environment) and not readable(
                    grants, application, "default"
                ):
                    world.change(application, environment)
        assert world.seen_by(client) == before

    check()
