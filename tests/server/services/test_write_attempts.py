"""Optimistic retry: a write is done again when something came between reading and writing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Connection, Database
from configsvc_server.db.listener import Heartbeat
from configsvc_server.domain.access.principals import operator
from configsvc_server.domain.errors import InvalidError, UnavailableError
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.domain.models import (
    ApplicationDocument,
    ConfigurationDocument,
    Provenance,
)
from configsvc_server.domain.schema.violations import Violation
from configsvc_server.domain.strict_json import JsonObject, JsonValue
from configsvc_server.repositories import Repositories
from configsvc_server.schema_checks.checker import SchemaChecker
from configsvc_server.services.applications import ApplicationService
from configsvc_server.services.configuration_writer import ConfigurationWriter
from configsvc_server.services.document_checks import DocumentChecks
from configsvc_server.services.environments import EnvironmentService
from configsvc_server.services.releases import ReleaseService
from configsvc_server.services.write_attempts import ATTEMPTS

ME = Provenance("me", principal=operator("me"))
PORT: JsonObject = {"required": ["port"]}


class Interrupted(SchemaChecker):
    """A checker during whose checks others do something."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Callable[[], object]] = []
        self.checks = 0

    def check_values(
        self, schema: JsonValue, values: Sequence[JsonValue], *, caller: str = ""
    ) -> list[list[Violation]]:
        self.checks += 1
        if self.others:
            self.others.pop(0)()
        return super().check_values(schema, values, caller=caller)


class Services:
    """The use cases over one database, and an application in it."""

    def __init__(self, database: Database, schemas: Interrupted) -> None:
        cache = ResponseCache(max_bytes=0, heartbeat=Heartbeat())
        checks = DocumentChecks(schemas)
        self.database = database
        self.schemas = schemas
        self.writer = ConfigurationWriter(database, cache, checks=checks)
        self.environments = EnvironmentService(database, cache, checks=checks)
        self.releases = ReleaseService(database, cache, checks=checks)
        applications = ApplicationService(database, cache)
        created = applications.create(
            ApplicationDocument("billing"), application_id=None, provenance=ME
        )
        self.application_id = created.application.id

    def create(self, document: ConfigurationDocument) -> str:
        return self.writer.create(
            document,
            application_id=self.application_id,
            configuration_id=new_ulid(),
            provenance=ME,
        ).id

    def environment(self, name: str, *, protected: bool = False) -> None:
        self.environments.create(
            self.application_id,
            name,
            position=None,
            auto_release=not protected,
            protected=protected,
            provenance=ME,
        )

    def served(self, environment: str) -> dict[str, int]:
        with self.database.autocommit() as connection:
            served = Repositories(connection).releases.served_in_environment(
                self.application_id, environment
            )
        return {version.name: version.version for version in served}


@pytest.fixture
def services(database: Database) -> Iterator[Services]:
    with Interrupted() as schemas:
        yield Services(database, schemas)


def test_an_environment_that_comes_meanwhile_is_checked_too(services: Services) -> None:
    services.schemas.others = [lambda: services.environment("dev")]
    document = ConfigurationDocument("a", {}, None, {"default": {"port": 1}}, PORT)

    with pytest.raises(InvalidError, match="port"):
        services.create(document)

    assert services.served("default") == services.served("dev") == {}


def test_an_edit_is_made_again_on_top_of_another(services: Services) -> None:
    configuration = services.create(ConfigurationDocument("a", {"port": 1}, None, {}, PORT))

    def change(member: str) -> Callable[[], object]:
        return lambda: services.writer.update(
            configuration,
            lambda current: ConfigurationDocument(
                "a", {**current.config, member: True}, None, {}, PORT
            ),
            provenance=ME,
        )

    services.schemas.others = [change("theirs")]
    change("mine")()

    with services.database.autocommit() as connection:
        current = Repositories(connection).configurations.find(configuration)
    assert current is not None
    assert current.config == {"port": 1, "theirs": True, "mine": True}
    assert current.version == 3


def test_after_a_few_failures_the_write_lock_is_acquired_first(services: Services) -> None:
    services.schemas.others = [
        partial(services.environment, f"e{number}", protected=True) for number in range(ATTEMPTS)
    ]

    services.create(ConfigurationDocument("a", {"port": 1}, None, {}, PORT))

    assert services.schemas.checks == ATTEMPTS + 1
    assert services.served("default") == {"a": 1}


class InterruptedDatabase(Database):
    """A database in which others do something before each transaction."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.others: list[Callable[[], object]] = []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if self.others:
            self.others.pop(0)()
        with super().transaction() as connection:
            yield connection


@pytest.mark.parametrize("kind", ["environment", "release", "promote"])
def test_every_write_that_depends_on_what_it_read_can_hold_the_write_lock(
    services: Services, database_url: str, kind: str
) -> None:
    configuration = services.create(ConfigurationDocument("a", {"port": 1}, None, {}, PORT))
    services.environment("prod", protected=True)
    with InterruptedDatabase(database_url) as database:
        database.open()
        cache = ResponseCache(max_bytes=0, heartbeat=Heartbeat())
        checks = DocumentChecks(services.schemas)
        environments = EnvironmentService(database, cache, checks=checks)
        releases = ReleaseService(database, cache, checks=checks)
        database.others = [
            partial(services.environment, f"e{number}", protected=True)
            for number in range(ATTEMPTS)
        ]
        match kind:
            case "environment":
                environments.create(
                    services.application_id,
                    "prod2",
                    position=None,
                    auto_release=True,
                    protected=False,
                    provenance=ME,
                )
            case "release":
                releases.release(configuration, "prod", version=1, provenance=ME)
            case "promote":
                releases.promote(
                    services.application_id, source="default", target="prod", provenance=ME
                )
        assert not database.others
    assert services.served("prod2" if kind == "environment" else "prod") == {"a": 1}


def test_an_edit_can_hold_the_write_lock(services: Services) -> None:
    configuration = services.create(ConfigurationDocument("a", {"port": 1}, None, {}, PORT))
    services.schemas.others = [
        partial(services.environment, f"e{number}", protected=True) for number in range(ATTEMPTS)
    ]

    services.writer.update(configuration, lambda current: current.document, provenance=ME)

    assert not services.schemas.others
    assert services.served("default") == {"a": 2}


def test_what_takes_long_to_check_is_not_checked_under_the_write_lock(services: Services) -> None:
    """Every other writer of the service would have to wait for it."""
    slow: JsonObject = {"patternProperties": {"^p": {"type": "integer"}}}
    document = ConfigurationDocument("a", {"port": 1}, None, {}, slow)
    services.schemas.others = [
        partial(services.environment, f"e{number}", protected=True) for number in range(ATTEMPTS)
    ]

    with pytest.raises(UnavailableError):
        services.create(document)

    assert services.served("default") == {}
    services.create(document)  # it can be done as soon as the others leave it alone


def test_the_values_of_many_environments_are_not_checked_under_the_write_lock(
    services: Services,
) -> None:
    """Each of them alone would be quick."""
    names = [f"e{number}" for number in range(10)]
    for name in names:
        services.environment(name)
    members: JsonObject = {f"m{number}": number for number in range(1_000)}
    overlays: dict[str, JsonObject] = {name: {"port": 2} for name in names}
    schema: JsonObject = {"properties": {f"p{number}": {"type": "integer"} for number in range(8)}}
    document = ConfigurationDocument("a", {**members, "port": 1}, None, overlays, schema)
    services.schemas.others = [
        partial(services.environment, f"o{number}", protected=True) for number in range(ATTEMPTS)
    ]

    with pytest.raises(UnavailableError):
        services.create(document)


def test_a_release_is_decided_again_when_another_came_first(services: Services) -> None:
    configuration = services.create(ConfigurationDocument("a", {"port": 1}, None, {}, PORT))
    services.environment("prod", protected=True)
    services.writer.update(configuration, lambda c: c.document, provenance=ME)
    services.schemas.others = [
        lambda: services.releases.release(configuration, "prod", version=1, provenance=ME)
    ]

    release, is_new = services.releases.release(configuration, "prod", version=2, provenance=ME)

    assert is_new
    assert (release.version, release.previous_version) == (2, 1)
