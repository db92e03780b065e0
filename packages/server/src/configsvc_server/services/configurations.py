"""What can be done with configurations."""

from configsvc_server.db.database import Database
from configsvc_server.domain.digest import document_digest
from configsvc_server.domain.errors import NotFoundError
from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid
from configsvc_server.domain.models import Action, Change, Configuration, Provenance
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.documents import ConfigurationDocument, Edit, Precondition, always

__all__ = ["ConfigurationService"]


class ConfigurationService:
    """Creates, reads, changes and deletes configurations."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            application_id = _application_id(store, application)
            check(application_id)
            configuration = store.configurations.insert(
                configuration_id=configuration_id or new_ulid(),
                application_id=application_id,
                name=document.name,
                comments=document.comments,
                config=document.config,
                author=provenance.actor,
            )
            _record(store, "create", configuration, provenance)
        return configuration

    def get(self, configuration_id: str) -> Configuration:
        """Return one configuration.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.read() as connection:
            return _find(Repositories.over(connection), configuration_id)

    def list(
        self,
        request: PageRequest,
        *,
        application_id: str | None = None,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Configuration]:
        """Return one page of configurations (see the repository for the filters)."""
        with self._database.read() as connection:
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
        with self._database.read() as connection:
            store = Repositories.over(connection)
            detail = store.applications.find(application)
            if detail is None:
                raise NotFoundError("application", application)
            return store.configurations.page(
                request, application_id=detail.application.id, name=name, text=text
            )

    def edit(
        self,
        configuration_id: str,
        edit: Edit[Configuration, ConfigurationDocument],
        *,
        provenance: Provenance,
        precondition: Precondition[Configuration] = always,
    ) -> Configuration:
        """Change a configuration, which makes its next version.

        Args:
            configuration_id: its id.
            edit: makes the new document from the current configuration.
            provenance: who does it and why.
            precondition: may refuse the change.

        Raises:
            NotFoundError: there is no such configuration.
            ConflictError: the new name is taken within the application.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current = _find(store, configuration_id, lock=True)
            precondition(current)
            document = edit(current)
            configuration = store.configurations.update(
                configuration_id=current.id,
                name=document.name,
                comments=document.comments,
                config=document.config,
                author=provenance.actor,
            )
            _record(store, "update", configuration, provenance)
        return configuration

    def delete(
        self,
        configuration_id: str,
        *,
        provenance: Provenance,
        precondition: Precondition[Configuration] = always,
    ) -> None:
        """Remove a configuration; its revisions stay.

        Raises:
            NotFoundError: there is no such configuration.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current = _find(store, configuration_id, lock=True)
            precondition(current)
            store.configurations.delete(current.id)
            store.changes.append([_change("delete", current, provenance)])


def _find(store: Repositories, configuration_id: str, *, lock: bool = False) -> Configuration:
    configuration = None
    if is_ulid(configuration_id):
        configuration = store.configurations.find(normalize_ulid(configuration_id), lock=lock)
    if configuration is None:
        raise NotFoundError("configuration", configuration_id)
    return configuration


def _application_id(store: Repositories, key: str) -> str:
    if is_ulid(key):
        # The foreign key finds out whether it exists, in the same round trip as the insert.
        return normalize_ulid(key)
    detail = store.applications.find(key)
    if detail is None:
        raise NotFoundError("application", key)
    return detail.application.id


def _record(
    store: Repositories, action: Action, configuration: Configuration, provenance: Provenance
) -> None:
    """Write the revision and the change that belong to a write."""
    store.revisions.record(
        configuration_id=configuration.id,
        digest=document_digest(
            name=configuration.name,
            comments=configuration.comments,
            config=configuration.config,
        ),
        author=provenance.actor,
        message=provenance.message,
    )
    store.changes.append([_change(action, configuration, provenance)])


def _change(action: Action, configuration: Configuration, provenance: Provenance) -> Change:
    return Change(
        action,
        "configuration",
        configuration.application_id,
        configuration.id,
        configuration.name,
        configuration.version,
        provenance,
    )
