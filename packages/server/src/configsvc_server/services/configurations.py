"""What can be done with configurations."""

from collections.abc import Callable

from configsvc_server.cache.responses import Reads, Rendered
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import ConflictError, FieldError, InvalidError
from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid
from configsvc_server.domain.models import (
    Change,
    Configuration,
    ConfigurationDocument,
    Provenance,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.domain.resolve import resolve_all
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories import Repositories
from configsvc_server.services.configuration_writer import ConfigurationWriter
from configsvc_server.services.document_checks import is_unbound
from configsvc_server.services.edits import Edit, Precondition, always
from configsvc_server.services.guards import (
    find_application_id,
    find_configuration,
    require_free_name,
    require_unprotected,
    require_version,
    withdrawal,
)
from configsvc_server.services.write_attempts import Attempt

__all__ = ["ConfigurationService"]


class ConfigurationService:
    """Creates, reads, changes and deletes configurations."""

    def __init__(
        self,
        database: Database,
        reads: Reads,
        *,
        writer: ConfigurationWriter,
        render: Callable[[Configuration], Rendered],
    ) -> None:
        """Serve configurations as ``render`` writes them.

        Args:
            database: where they are.
            reads: what is in memory; evicted by every write before it returns.
            writer: writes them.
            render: makes the answer of a configuration.
        """
        self._database = database
        self._reads = reads
        self._writer = writer
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
            InvalidError: the document breaks its schema, or has an unknown environment.
            ConflictError: the id, or the name within the application, is taken.
            StateError: an environment serves another configuration under this name.
        """
        with self._database.autocommit() as connection:
            application_id = _application_id(Repositories.over(connection), application)
        check(application_id)
        return self._writer.create(
            document,
            application_id=application_id,
            configuration_id=configuration_id or new_ulid(),
            provenance=provenance,
        )

    def validate_new(
        self, document: ConfigurationDocument, *, application_id: str
    ) -> dict[str, JsonObject]:
        """Try to create a configuration, without writing it.

        Returns:
            What each environment would serve if it were released there.

        Raises:
            NotFoundError, InvalidError, ConflictError: as creating it would.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            find_application_id(store, application_id)
        return self._try(document, application_id, None)

    def validate_change(
        self,
        configuration_id: str,
        edit: Edit[Configuration, ConfigurationDocument],
        *,
        application_id: str | None = None,
    ) -> dict[str, JsonObject]:
        """Try to change a configuration, without writing it (see :meth:`edit`).

        Returns:
            What each environment would serve if it were released there.

        Raises:
            NotFoundError, InvalidError, ConflictError: as changing it would.
        """
        with self._database.autocommit() as connection:
            current = find_configuration(Repositories.over(connection), configuration_id)
        _require_application(current, application_id)
        return self._try(edit(current), current.application_id, current)

    def _try(
        self, document: ConfigurationDocument, application_id: str, current: Configuration | None
    ) -> dict[str, JsonObject]:
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            named = store.configurations.page(
                PageRequest(limit=1), application_id=application_id, name=document.name
            ).items
            if named and (current is None or named[0].id != current.id):
                raise ConflictError(entity="configuration", field="name", value=document.name)
            own_id = None if current is None else current.id
            require_free_name(store, application_id, document.name, own_id)
            environments = [e.name for e in store.environments.all_of(application_id)]
        self._writer.check(
            Attempt(self._database, None), document, application_id=application_id, current=current
        )
        return resolve_all(document, environments)

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
                store = Repositories.over(connection)
                return self._render(find_configuration(store, configuration_id))

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
            application_id = find_application_id(store, application)
            return store.configurations.page(
                request, application_id=application_id, name=name, text=text
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
        if is_ulid(configuration_id) and is_unbound(document):
            written = self._writer.replace(
                normalize_ulid(configuration_id),
                document,
                provenance=provenance,
                application_id=application_id,
                if_version=if_version,
            )
            if written is not None:
                return written
        # There is something to check, or nothing was written; the way that looks first tells.
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

        def checked(current: Configuration) -> ConfigurationDocument:
            require_version(current, if_version)
            _require_application(current, application_id)
            return edit(current)

        return self._writer.edit(configuration_id, checked, provenance=provenance)

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
            current = find_configuration(store, configuration_id, lock=True)
            require_version(current, if_version)
            moment = store.changes.take_turn()
            pointers = store.releases.served_of(current.id)
            require_unprotected(store, current.application_id, pointers)
            store.releases.move(
                [withdrawal(pointer) for pointer in pointers], provenance, moment=moment
            )
            store.configurations.delete(current.id)
            environments = tuple(pointer.environment for pointer in pointers)
            change = Change(
                "delete",
                "configuration",
                current.application_id,
                current.id,
                current.name,
                current.version,
                provenance,
                environments=environments,
            )
            store.changes.append([change], moment=moment)
        self._reads.changed(current.application_id, current.id, environments)


def _application_id(store: Repositories, key: str) -> str:
    if is_ulid(key):
        # The insert finds out whether it exists, in its own round trip.
        return normalize_ulid(key)
    return find_application_id(store, key)


def _require_application(current: Configuration, application_id: str | None) -> None:
    if application_id is not None and application_id != current.application_id:
        message = f"must be {current.application_id!r}: it can't change"
        raise InvalidError([FieldError("/application_id", message)])
