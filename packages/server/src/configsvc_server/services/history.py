"""History use cases: revisions, comparison, rollback and restoration."""

from dataclasses import dataclass

from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.diff import Difference, differences, json_patch
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.errors import ConflictError, NotFoundError, StateError
from configsvc_server.domain.models import (
    Configuration,
    ConfigurationDocument,
    Provenance,
    Revision,
)
from configsvc_server.domain.overlays import resolve
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import require_configuration
from configsvc_server.services.configuration_writer import ConfigurationWriter
from configsvc_server.services.guards import (
    find_configuration,
    find_configuration_owner,
    find_environment_field,
    find_revision_field,
    require_match,
)

__all__ = ["Comparison", "DiffRequest", "HistoryService", "Side"]


@dataclass(frozen=True, slots=True)
class DiffRequest:
    """Two sides to compare; each is a version, or what an environment serves."""

    from_version: int | None = None
    to_version: int | None = None
    from_environment: str | None = None
    to_environment: str | None = None
    environment: str | None = None
    """The environment that both sides are resolved for."""
    document: ConfigurationDocument | None = None
    """Compared with instead of a version."""


@dataclass(frozen=True, slots=True)
class Side:
    """Side of a comparison."""

    version: int | None
    """``None`` for a document that is no revision, and for nothing at all."""
    environment: str | None
    """The environment that it is resolved for."""
    document: JsonObject


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences between two sides."""

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
    """Reads and compares revisions, and writes their content again."""

    def __init__(self, database: Database, *, writer: ConfigurationWriter) -> None:
        """Create the service.

        Args:
            database: where the revisions are stored.
            writer: writes new versions.
        """
        self._database = database
        self._writer = writer

    def revisions(
        self, principal: Principal, configuration_id: str, request: PageRequest
    ) -> Page[Revision]:
        """Return one page of the revisions of a configuration, also of a deleted one.

        Raises:
            NotFoundError: there never was such a configuration.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            stored_id = _find_readable(store, principal, configuration_id)
            return store.revisions.page(stored_id, request)

    def revision(self, principal: Principal, configuration_id: str, version: int) -> Revision:
        """Return one revision.

        Raises:
            NotFoundError: there is no such configuration or version.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            stored_id = _find_readable(store, principal, configuration_id)
            revision = store.revisions.find(stored_id, version)
        if revision is None:
            raise NotFoundError("revision", str(version))
        return revision

    def compare(
        self, principal: Principal, configuration_id: str, request: DiffRequest
    ) -> Comparison:
        """Compare two versions, what two environments serve, or a version and a document.

        Without anything else, the newest version is compared with the one before it.

        Raises:
            NotFoundError: there never was such a configuration.
            InvalidError: there is no such version or environment.
        """
        with self._database.autocommit() as connection:
            sides = _Sides(Repositories(connection), principal, configuration_id, request)
            after = sides.after()
            return Comparison(sides.configuration_id, sides.before(after.version), after)

    def roll_back(
        self,
        configuration_id: str,
        version: int,
        *,
        provenance: Provenance,
        if_match: EntityTags | None = None,
    ) -> Configuration:
        """Make the next version of a configuration from the content of an earlier one.

        Raises:
            NotFoundError: there is no such configuration.
            InvalidError: there is no such version, or it can't be written any more.
            PreconditionFailedError: the configuration is at another version.
            ConflictError: the name is taken by another configuration now.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            current = find_configuration(store, configuration_id)
            require_configuration(
                provenance.principal,
                Permission.WRITE_CONFIGURATIONS,
                current.application_id,
                configuration_id,
            )
            require_match(if_match, current.etag, current_version=current.version)
            revision = find_revision_field(store, current.id, version, pointer="/version")
        return self._writer.update(
            current.id,
            revision.document,
            provenance=provenance,
            if_match=if_match,
            action="rollback",
            source_version=version,
        )

    def restore(
        self, configuration_id: str, *, version: int | None = None, provenance: Provenance
    ) -> Configuration:
        """Bring a deleted configuration back as its next version.

        Args:
            configuration_id: its id.
            version: the version whose content it is to have; ``None`` for the last one.
            provenance: author, request and message.

        Raises:
            NotFoundError: there never was such a configuration.
            InvalidError: there is no such version, or it can't be written any more.
            StateError: it is not deleted, or its application is.
            ConflictError: the name is taken by another configuration now.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            stored_id, owner = find_configuration_owner(store, configuration_id)
            require_configuration(
                provenance.principal, Permission.WRITE_CONFIGURATIONS, owner, configuration_id
            )
            if store.configurations.find(stored_id) is not None:
                raise _not_deleted(stored_id)
            revision = find_revision_field(store, stored_id, version, pointer="/version")
            first = find_revision_field(store, stored_id, 1, pointer="/version")
        try:
            return self._writer.create(
                revision.document,
                application_id=revision.application_id,
                configuration_id=stored_id,
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
                raise _not_deleted(stored_id) from None
            raise


class _Sides:
    """Finds the two sides of a comparison."""

    def __init__(
        self,
        store: Repositories,
        principal: Principal,
        configuration_id: str,
        request: DiffRequest,
    ) -> None:
        self.configuration_id = _find_readable(store, principal, configuration_id)
        self._access = principal.access
        self._store = store
        self._request = request
        newest = find_revision_field(store, self.configuration_id, None, pointer="/to")
        self._application_id = newest.application_id
        if request.environment is not None:
            self._require_environment(request.environment, "/environment")
        # Where one side is what an environment serves, the other has to be comparable with it.
        self._environment = (
            request.environment or request.from_environment or request.to_environment
        )

    def after(self) -> Side:
        """Return the new side of the comparison."""
        request = self._request
        if request.document is not None:
            return self._side(None, request.document, self._environment)
        if request.to_environment is not None:
            return self._served(request.to_environment, "/to_environment")
        revision = self._revision(request.to_version, "/to")
        return self._side(revision.version, revision.document, self._environment)

    def before(self, after: int | None) -> Side:
        """Return the old side; by default the version before ``after``, the one of the new side."""
        request = self._request
        if request.from_environment is not None:
            return self._served(request.from_environment, "/from_environment")
        version = request.from_version
        if version is None and after is not None and request.to_environment is None:
            if after == 1:
                return Side(None, self._environment, {})
            version = after - 1
        revision = self._revision(version, "/from")
        return self._side(revision.version, revision.document, self._environment)

    def _revision(self, version: int | None, pointer: str) -> Revision:
        return find_revision_field(self._store, self.configuration_id, version, pointer=pointer)

    def _require_environment(self, name: str, pointer: str) -> None:
        find_environment_field(
            self._store, self._application_id, name, pointer=pointer, access=self._access
        )

    def _served(self, environment: str, pointer: str) -> Side:
        self._require_environment(environment, pointer)
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


def _find_readable(store: Repositories, principal: Principal, configuration_id: str) -> str:
    """Return the id of a configuration, also of a deleted one, that a principal may read."""
    stored_id, application_id = find_configuration_owner(store, configuration_id)
    require_configuration(
        principal, Permission.READ_CONFIGURATIONS, application_id, configuration_id
    )
    return stored_id


def _not_deleted(configuration_id: str) -> StateError:
    return StateError("not-deleted", f"The configuration {configuration_id} is not deleted.")
