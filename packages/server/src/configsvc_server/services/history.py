"""What configurations have been, and how to make them that again."""

from dataclasses import dataclass, replace

from configsvc_server.db.database import Database
from configsvc_server.domain.diff import Difference, differences, json_patch
from configsvc_server.domain.errors import (
    ConflictError,
    NotFoundError,
    StateError,
)
from configsvc_server.domain.models import (
    Configuration,
    ConfigurationDocument,
    Provenance,
    Revision,
)
from configsvc_server.domain.pages import NumberedPage, NumberedRequest
from configsvc_server.domain.resolve import resolve
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories import Repositories
from configsvc_server.services.configuration_writer import ConfigurationWriter
from configsvc_server.services.guards import (
    find_configuration,
    find_environment,
    find_revision,
    require_known,
    require_version,
)

__all__ = ["Comparison", "DiffRequest", "HistoryService", "Side"]


@dataclass(frozen=True, slots=True)
class DiffRequest:
    """What is to be compared; each side is a version, or what an environment serves."""

    from_version: int | None = None
    to_version: int | None = None
    from_environment: str | None = None
    to_environment: str | None = None
    environment: str | None = None
    """The environment that both sides are resolved for."""
    document: ConfigurationDocument | None = None
    """What to compare with instead of a version."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things that are compared."""

    version: int | None
    """``None`` for a document that is no revision, and for nothing at all."""
    environment: str | None
    """The environment that it is resolved for."""
    document: JsonObject


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two sides."""

    configuration_id: str
    before: Side
    after: Side

    @property
    def patch(self) -> list[JsonObject]:
        """The JSON Patch (RFC 6902) that makes ``after`` of ``before``."""
        return json_patch(self.before.document, self.after.document)

    @property
    def differences(self) -> list[Difference]:
        """The same for people, path by path."""
        return differences(self.before.document, self.after.document)


class HistoryService:
    """Reads revisions, compares them, and brings their content back."""

    def __init__(self, database: Database, *, writer: ConfigurationWriter) -> None:
        """Serve the history in ``database``; ``writer`` writes what is brought back."""
        self._database = database
        self._writer = writer

    def revisions(self, configuration_id: str, request: NumberedRequest) -> NumberedPage[Revision]:
        """Return revisions of a configuration, also of one that has been deleted since.

        Raises:
            NotFoundError: there never was such a configuration.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            known_id = require_known(store, configuration_id)
            page = store.revisions.page(known_id, request)
            # Versions have no gaps.
            return replace(page, total=store.revisions.newest_version(known_id))

    def revision(self, configuration_id: str, version: int) -> Revision:
        """Return one revision.

        Raises:
            NotFoundError: there is no such configuration or version.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            revision = store.revisions.find(require_known(store, configuration_id), version)
        if revision is None:
            raise NotFoundError("revision", str(version))
        return revision

    def compare(self, configuration_id: str, request: DiffRequest) -> Comparison:
        """Tell what differs between two versions, environments, or a version and a document.

        Without anything else, the newest version is compared with the one before it.

        Raises:
            NotFoundError: there never was such a configuration.
            InvalidError: there is no such version or environment.
        """
        with self._database.autocommit() as connection:
            sides = _Sides(Repositories.over(connection), configuration_id, request)
            after = sides.after()
            return Comparison(sides.configuration_id, sides.before(after.version), after)

    def roll_back(
        self,
        configuration_id: str,
        version: int,
        *,
        provenance: Provenance,
        if_version: frozenset[int] | None = None,
    ) -> Configuration:
        """Make the next version of a configuration from the content of an earlier one.

        Raises:
            NotFoundError: there is no such configuration.
            InvalidError: there is no such version, or it can't be written any more.
            PreconditionFailedError: the configuration is at another version.
            ConflictError: the name is taken by another configuration now.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            # It is the same at every attempt: revisions never change.
            current = find_configuration(store, configuration_id)
            require_version(current, if_version)
            document = find_revision(store, current.id, version, pointer="/version").document

        def edit(current: Configuration) -> ConfigurationDocument:
            require_version(current, if_version)
            return document

        return self._writer.edit(
            configuration_id, edit, provenance=provenance, action="rollback", source_version=version
        )

    def restore(
        self, configuration_id: str, *, version: int | None = None, provenance: Provenance
    ) -> Configuration:
        """Bring a deleted configuration back as its next version.

        Args:
            configuration_id: its id.
            version: the version whose content it shall have; ``None`` for the last one.
            provenance: who does it and why.

        Raises:
            NotFoundError: there never was such a configuration.
            InvalidError: there is no such version, or it can't be written any more.
            StateError: it is not deleted, or its application is.
            ConflictError: the name is taken by another configuration now.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            known_id = require_known(store, configuration_id)
            if store.configurations.find(known_id) is not None:
                raise _not_deleted(known_id)
            revision = find_revision(store, known_id, version, pointer="/version")
            first = find_revision(store, known_id, 1, pointer="/version")
        try:
            return self._writer.create(
                revision.document,
                application_id=revision.application_id,
                configuration_id=known_id,
                provenance=provenance,
                action="restore",
                source_version=revision.version,
                created_at=first.created_at,
            )
        except NotFoundError:
            message = (
                f"The application {revision.application_id} of this configuration has been "
                "deleted. Create one with that id first."
            )
            raise StateError("application-deleted", message) from None
        except ConflictError as error:
            if error.field == "id":
                raise _not_deleted(known_id) from None
            raise


class _Sides:
    """Finds what a request wants to compare."""

    def __init__(self, store: Repositories, configuration_id: str, request: DiffRequest) -> None:
        self.configuration_id = require_known(store, configuration_id)
        self._store = store
        self._request = request
        newest = find_revision(store, self.configuration_id, None, pointer="/to")
        self._application_id = newest.application_id
        if request.environment is not None:
            find_environment(
                store,
                newest.application_id,
                request.environment,
                pointer="/environment",
                location="query" if request.document is None else "body",
            )
        # Where one side is what an environment serves, the other has to be comparable with it.
        self._for = request.environment or request.from_environment or request.to_environment

    def after(self) -> Side:
        request = self._request
        if request.document is not None:
            return self._side(None, request.document, self._for)
        if request.to_environment is not None:
            return self._served(request.to_environment, "/to_environment")
        revision = self._revision(request.to_version, "/to")
        return self._side(revision.version, revision.document, self._for)

    def before(self, after: int | None) -> Side:
        request = self._request
        if request.from_environment is not None:
            return self._served(request.from_environment, "/from_environment")
        version = request.from_version
        if version is None and after is not None and request.to_environment is None:
            if after == 1:
                return Side(None, self._for, {})
            version = after - 1
        location = "query" if request.document is None else "body"
        revision = self._revision(version, "/from", location)
        return self._side(revision.version, revision.document, self._for)

    def _revision(self, version: int | None, pointer: str, location: str = "query") -> Revision:
        return find_revision(
            self._store, self.configuration_id, version, pointer=pointer, location=location
        )

    def _served(self, environment: str, pointer: str) -> Side:
        find_environment(
            self._store, self._application_id, environment, pointer=pointer, location="query"
        )
        resolved_for = self._request.environment or environment
        for served in self._store.releases.served_of(self.configuration_id):
            if served.environment == environment:
                revision = self._revision(served.version, pointer)
                return self._side(revision.version, revision.document, resolved_for)
        return Side(None, resolved_for, {})

    @staticmethod
    def _side(
        version: int | None, document: ConfigurationDocument, environment: str | None
    ) -> Side:
        if environment is not None:
            resolved = resolve(document, environment)
            return Side(version, environment, {"name": document.name, "config": resolved})
        return Side(version, None, document.members)


def _not_deleted(configuration_id: str) -> StateError:
    return StateError("not-deleted", f"The configuration {configuration_id} is not deleted.")
