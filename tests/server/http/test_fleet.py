"""The fleet: instances, their states, convergence, reports and time travel."""

from typing import Any, TypeAlias

import falcon.testing
from falcon.testing import TestClient

Json: TypeAlias = dict[str, Any]

ENVIRONMENT = "/api/v1/applications/billing/environments/default"


class Poller:
    """An instance that polls as the SDK does."""

    def __init__(self, api: TestClient, name: str, **said: str) -> None:
        self._api = api
        self.name = name
        members = {"id": name, "service": "shop", **said}
        self.header = ", ".join(f'{key}="{value}"' for key, value in members.items())
        self.serves: str | None = None

    def poll(self, **headers: str) -> falcon.testing.Result:
        sent = {"Configsvc-Instance": self.header, **headers}
        if self.serves is not None:
            sent["If-None-Match"] = f'"{self.serves}"'
        result = self._api.simulate_get(f"{ENVIRONMENT}/snapshot", headers=sent)
        if result.status_code == 200:
            self.serves = result.headers["etag"].strip('"')
        return result

    def catch_up(self) -> None:
        """Poll until the server knows that it has the snapshot."""
        self.poll()
        self.poll()


def convergence(api: TestClient, **params: str) -> Json:
    result = api.simulate_get(f"{ENVIRONMENT}/convergence", params=params)
    assert result.status_code == 200, result.text
    return dict(result.json)


def instances(api: TestClient, **params: str) -> list[Json]:
    result = api.simulate_get(f"{ENVIRONMENT}/instances", params=params)
    assert result.status_code == 200, result.text
    return list(result.json["items"])


def write(api: TestClient, configuration: Json, size: int) -> None:
    body = {"config": {"pool": {"size": size}}}
    result = api.simulate_patch(f"/api/v1/configurations/{configuration['id']}", json=body)
    assert result.status_code == 200, result.text


def test_an_instance_is_known_by_its_poll(api: TestClient, database_config: Json) -> None:
    web = Poller(api, "web-1", version="1.4.2", sdk="sdk/1", host="h")
    web.catch_up()
    [found] = instances(api)
    assert (found["id"], found["service"], found["state"]) == ("web-1", "shop", "current")
    assert found["serves"] == web.serves
    one = api.simulate_get(f"{ENVIRONMENT}/instances/web-1").json
    assert one["version"] == "1.4.2"


def test_convergence_counts(api: TestClient, database_config: Json) -> None:
    pollers = [Poller(api, f"web-{number}") for number in range(5)]
    for poller in pollers:
        poller.catch_up()
    assert convergence(api)["state"] == "converged"
    write(api, database_config, 11)
    found = convergence(api)
    assert (found["state"], found["behind"], found["instances"]) == ("converging", 5, 5)
    for poller in pollers[:3]:
        poller.catch_up()
    found = convergence(api)
    assert (found["current"], found["behind"]) == (3, 2)


def test_what_an_instance_served(api: TestClient, database_config: Json) -> None:
    web = Poller(api, "web-1")
    web.catch_up()
    first = api.simulate_get(f"{ENVIRONMENT}/snapshot").text
    [found] = instances(api)
    write(api, database_config, 11)
    web.catch_up()
    [later] = instances(api)
    path = f"{ENVIRONMENT}/instances/web-1"
    then = api.simulate_get(path, params={"at": found["since"]})
    assert then.status_code == 200, then.text
    assert then.json["serves"] == found["serves"]
    assert f'"snapshot":{first}}}' in then.text
    now = api.simulate_get(path, params={"at": later["since"]})
    assert now.json["serves"] == later["serves"]
    assert now.json["snapshot"]["configurations"]["database"]["config"]["pool"]["size"] == 11
    assert api.simulate_get(path, params={"at": "2099-01-01T00:00:00Z"}).status_code == 422


def test_rejections(api: TestClient, database_config: Json) -> None:
    web = Poller(api, "web-1")
    web.catch_up()
    body = {
        "version": web.serves,
        "rejections": [{"configuration": "database", "pointer": "/pool/size", "message": "no"}],
    }
    result = api.simulate_post(f"{ENVIRONMENT}/instances/web-1/rejections", json=body)
    assert result.status_code == 204, result.text
    found = convergence(api)
    assert (found["state"], found["rejecting"]) == ("rejected", 1)
    assert found["rejections"][0]["pointer"] == "/pool/size"
    assert [item["state"] for item in instances(api, state="rejecting")] == ["rejecting"]
