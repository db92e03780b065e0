"""What can be done with configurations."""

from collections.abc import Callable

from configsvc_server.db.database import Database
from configsvc_server.domain.digest import document_digest
from configsvc_server.domain.errors import (
    FieldError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
)
from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid
from configsvc_server.domain.models import (
    Change,
    Configuration,
    ConfigurationDocument,
    Provenance,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.edits import Edit, Precondition, always
from configsvc_server.services.reads import Reads, Rendered

__all__ = ["ConfigurationService"]


class ConfigurationService:
    """Creates, reads, changes and deletes configurations."""

    def __init__(
        self, database: Database, reads: Reads, *, render: Callable[[Configuration], Rendered]
    ) -> None:
        """Serve configurations as ``render`` writes them.

        Args:
            database: where they are.
            reads: what is in memory; evicted by every write before it returns.
            render: makes the answer of a configuration.
        """
        self._database = database
        self._reads = reads
        self._render = render

    def create(
        self,
        document: ConfigurationDocument,
        *,
        application: str,
        configuration_id: str | None,
        provenance: Provenance,
        check: Precondition[str] = always,
    ) -> Configuration:
        """Add a configuration as version 1, or as the next version of an id used before.

        Args:
            document: its members.
            application: id or name of the application.
            configuration_id: the id it shall have; ``None`` for a new one.
            provenance: who does it and why.
            check: called with the id of the application; may refuse.

        Raises:
            NotFoundError: there is no such application.
            ConflictError: the id, or the name within the application, is taken.
        """
        digest = document_digest(document)
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            application_id = _application_id(store, application)
            check(application_id)
            created = store.configurations.insert(
                configuration_id=configuration_id or new_ulid(),
                application_id=application_id,
                document=document,
                digest=digest,
                provenance=provenance,
            )
        self._reads.changed(created.application_id, created.id)
        return created

    def get(self, configuration_id: str, *, from_memory: bool = True) -> Rendered:
        """Return the answer of one configuration.

        Args:
            configuration_id: its id.
            from_memory: whether an answer in memory will do.

        Raises:
            NotFoundError: there is none.
        """

        def read() -> Rendered:
            with self._database.autocommit() as connection:
                return self._render(_find(Repositories.over(connection), configuration_id))

        if not from_memory:
            return read()
        return self._reads.configurations.get(normalize_ulid(configuration_id), read)

    def list(
        self,
        request: PageRequest,
        *,
        application_id: str | None = None,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Configuration]:
        """Return one page of configurations (see the repository for the filters)."""
        with self._database.autocommit() as connection:
            return Repositories.over(connection).configurations.page(
                request, application_id=application_id, name=name, text=text
            )

    def list_of(
        self,
        application: str,
        request: PageRequest,
        *,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Configuration]:
        """Return one page of the configurations of an application, given by id or name.

        Raises:
            NotFoundError: there is no such application.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            detail = store.applications.find(application)
            if detail is None:
                raise NotFoundError("application", application)
            return store.configurations.page(
                request, application_id=detail.application.id, name=name, text=text
            )

    def replace(
        self,
        configuration_id: str,
        document: ConfigurationDocument,
        *,
        provenance: Provenance,
        application_id: str | None = None,
        if_version: frozenset[int] | None = None,
    ) -> Configuration:
        """Write a whole new document as the next version.

        Args:
            configuration_id: its id.
            document: the new document.
            provenance: who does it and why.
            application_id: the application it must belong to; ``None`` for whichever.
            if_version: the versions it may be at; ``None`` for any.

        Raises:
            NotFoundError: there is no such configuration.
            InvalidError: it belongs to another application.
            PreconditionFailedError: it is at another version.
            ConflictError: the new name is taken within the application.
        """
        digest = document_digest(document)
        if is_ulid(configuration_id):
            with self._database.autocommit() as connection:
                written = Repositories.over(connection).configurations.update(
                    configuration_id=normalize_ulid(configuration_id),
                    document=document,
                    digest=digest,
                    provenance=provenance,
                    application_id=application_id,
                    if_version=if_version,
                )
            if written is not None:
                self._reads.changed(written.application_id, written.id)
                return written
        # Nothing was written; the way that looks first finds out why.
        return self.edit(
            configuration_id,
            lambda _: document,
            provenance=provenance,
            application_id=application_id,
            if_version=if_version,
        )

    def edit(
        self,
        configuration_id: str,
        edit: Edit[Configuration, ConfigurationDocument],
        *,
        provenance: Provenance,
        application_id: str | None = None,
        if_version: frozenset[int] | None = None,
    ) -> Configuration:
        """Make the next version from the current one.

        Args:
            configuration_id: its id.
            edit: makes the new document from the current configuration.
            provenance: who does it and why.
            application_id: the application it must belong to; ``None`` for whichever.
            if_version: the versions it may be at; ``None`` for any.

        Raises:
            NotFoundError: there is no such configuration.
            InvalidError: it belongs to another application, or ``edit`` refuses.
            PreconditionFailedError: it is at another version.
            ConflictError: the new name is taken within the application.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current = _find(store, configuration_id, lock=True)
            _require_version(current, if_version)
            if application_id is not None and application_id != current.application_id:
                message = f"must be {current.application_id!r}: it can't change"
                raise InvalidError([FieldError("/application_id", message)])
            document = edit(current)
            written = store.configurations.update(
                configuration_id=current.id,
                document=document,
                digest=document_digest(document),
                provenance=provenance,
            )
            assert written is not None  # noqa: S101 - the row is there and locked
        self._reads.changed(written.application_id, written.id)
        return written

    def delete(
        self,
        configuration_id: str,
        *,
        provenance: Provenance,
        if_version: frozenset[int] | None = None,
    ) -> None:
        """Remove a configuration; its revisions stay.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: it is at another version.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current = _find(store, configuration_id, lock=True)
            _require_version(current, if_version)
            store.configurations.delete(current.id)
            store.changes.append(
                [
                    Change(
                        "delete",
                        "configuration",
                        current.application_id,
                        current.id,
                        current.name,
                        current.version,
                        provenance,
                    )
                ]
            )
        self._reads.changed(current.application_id, current.id)


def _find(store: Repositories, configuration_id: str, *, lock: bool = False) -> Configuration:
    configuration = None
    if is_ulid(configuration_id):
        configuration = store.configurations.find(normalize_ulid(configuration_id), lock=lock)
    if configuration is None:
        raise NotFoundError("configuration", configuration_id)
    return configuration


def _application_id(store: Repositories, key: str) -> str:
    if is_ulid(key):
        # The insert finds out whether it exists, in its own round trip.
        return normalize_ulid(key)
    detail = store.applications.find(key)
    if detail is None:
        raise NotFoundError("application", key)
    return detail.application.id


def _require_version(current: Configuration, if_version: frozenset[int] | None) -> None:
    if if_version is not None and current.version not in if_version:
        raise PreconditionFailedError(current_version=current.version)
