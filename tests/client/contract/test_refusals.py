"""The problem documents of what is refused: their kind, and where the fault is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from configsvc_client import (
    Application,
    ConfigClient,
    ConfigSvcError,
    Configuration,
    ConflictError,
    Environment,
    NotFoundError,
    ValidationError,
)

NOTHING = "01K9YV5C7W3V0Y1Q3W6M8N2B4D"


@dataclass(frozen=True)
class Scene:
    """``database`` at version 2, of which ``prod`` serves version 1."""

    client: ConfigClient
    billing: Application
    database: Configuration
    prod: Environment

    def release(self, version: int | None = None, environment: str = "prod") -> None:
        self.client.releases.release(self.database, environment, version=version)

    def delete(self) -> None:
        self.client.releases.withdraw(self.database, self.prod)
        self.client.configurations.delete(self.database)


@pytest.fixture
def scene(
    client: ConfigClient, billing: Application, database: Configuration, prod: Environment
) -> Scene:
    client.releases.release(database, prod)
    changed = client.configurations.update(database, config={"pool_size": 20})
    return Scene(client, billing, changed, prod)


Call: TypeAlias = Callable[[Scene], object]


def withdraw_twice(scene: Scene) -> None:
    for _ in range(2):
        scene.client.releases.withdraw(scene.database, scene.prod)


def restore_beside_another(scene: Scene) -> None:
    scene.delete()
    scene.client.configurations.create(scene.billing, name="database", config={})
    scene.client.configurations.restore(scene.database)


def restore_without_application(scene: Scene) -> None:
    scene.delete()
    scene.client.applications.delete("billing")
    scene.client.configurations.restore(scene.database)


def release_under_a_served_name(scene: Scene) -> None:
    scene.client.configurations.update(scene.database, name="db")
    other = scene.client.configurations.create("billing", name="database", config={})
    scene.client.releases.release(other, "prod")


CONFLICTS: dict[str, tuple[Call, str, list[str]]] = {
    "application name": (
        lambda s: s.client.applications.create(name="billing"),
        "name-taken",
        ["/name"],
    ),
    "application id": (
        lambda s: s.client.applications.create(name="x", id=s.billing.id),
        "id-taken",
        ["/id"],
    ),
    "configuration name": (
        lambda s: s.client.configurations.create("billing", name="database", config={}),
        "name-taken",
        ["/name"],
    ),
    "configuration id": (
        lambda s: s.client.configurations.create("billing", name="x", config={}, id=s.database.id),
        "id-taken",
        ["/id"],
    ),
    "environment name": (
        lambda s: s.client.environments.create("billing", name="prod"),
        "name-taken",
        ["/name"],
    ),
    "stale": (
        lambda s: s.client.configurations.update(s.database, config={}, version=1),
        "precondition-failed",
        ["/if-match"],
    ),
    "default environment": (
        lambda s: s.client.environments.delete("billing", "default"),
        "default-environment",
        [],
    ),
    "protected environment": (
        lambda s: s.client.environments.delete("billing", "prod"),
        "protected",
        [],
    ),
    "served where it is protected": (
        lambda s: s.client.configurations.delete(s.database),
        "protected",
        [],
    ),
    "not served": (withdraw_twice, "not-served", ["/environment"]),
    "nothing before": (
        lambda s: s.client.releases.rollback(s.database, "prod"),
        "nothing-before",
        ["/environment"],
    ),
    "served name": (release_under_a_served_name, "name-served", []),
    "not deleted": (
        lambda s: s.client.configurations.restore(s.database),
        "not-deleted",
        [],
    ),
    "restored name": (restore_beside_another, "name-taken", ["/name"]),
    "restored application": (restore_without_application, "application-deleted", []),
}

INVALID: dict[str, tuple[Call, list[str]]] = {
    "version": (lambda s: s.release(9), ["/version"]),
    "environment": (lambda s: s.release(environment="nowhere"), ["/environment"]),
    "rollback": (lambda s: s.client.configurations.rollback(s.database, 9), ["/version"]),
    "promotion": (lambda s: s.client.releases.promote("billing", "prod", "prod"), ["/to"]),
    "position": (
        lambda s: s.client.environments.create("billing", name="x", position=-1),
        ["/position"],
    ),
    "overlays": (
        lambda s: s.client.configurations.update(s.database, overlays={"prod": []}),  # type: ignore[dict-item]
        ["/overlays/prod"],
    ),
}

MISSING: dict[str, tuple[Call, str]] = {
    "application": (lambda s: s.client.applications.get("nothing"), "application"),
    "environment": (lambda s: s.client.environments.get("billing", "nowhere"), "environment"),
    "configuration": (lambda s: s.client.configurations.get(NOTHING), "configuration"),
    "history": (lambda s: next(s.client.configurations.history(NOTHING)), "configuration"),
    "revision": (lambda s: s.client.configurations.revision(s.database, 9), "revision"),
}


def problem_of(kind: type[ConfigSvcError], call: Call, scene: Scene) -> tuple[str, list[str]]:
    """Return the kind of the problem that ``call`` meets, and where the faults are."""
    with pytest.raises(kind) as caught:
        call(scene)
    problem = caught.value.problem
    assert problem["status"] == caught.value.status
    pointers = [error["pointer"] for error in problem.get("errors", ())]
    return problem["type"].removeprefix("urn:configsvc:problem:"), pointers


@pytest.mark.parametrize(("call", "kind", "pointers"), CONFLICTS.values(), ids=CONFLICTS)
def test_a_conflict_has_a_kind_and_a_place(
    scene: Scene, call: Call, kind: str, pointers: list[str]
) -> None:
    assert problem_of(ConflictError, call, scene) == (kind, pointers)


@pytest.mark.parametrize(("call", "pointers"), INVALID.values(), ids=INVALID)
def test_what_is_invalid_has_a_place(scene: Scene, call: Call, pointers: list[str]) -> None:
    assert problem_of(ValidationError, call, scene) == ("invalid", pointers)


@pytest.mark.parametrize(("call", "kind"), MISSING.values(), ids=MISSING)
def test_what_is_missing_has_a_kind(scene: Scene, call: Call, kind: str) -> None:
    assert problem_of(NotFoundError, call, scene) == (f"{kind}-not-found", [])
