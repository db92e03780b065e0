"""What can be done with applications."""

from collections import defaultdict
from collections.abc import Sequence

from configsvc_server.cache.responses import Reads
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import NotFoundError
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.domain.models import (
    DEFAULT_ENVIRONMENT,
    Action,
    Application,
    ApplicationDetail,
    ApplicationDocument,
    Change,
    EnvironmentDocument,
    Pointer,
    Provenance,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.edits import Edit, Precondition, always
from configsvc_server.services.guards import require_unprotected

__all__ = ["ApplicationService"]


class ApplicationService:
    """Creates, reads, changes and deletes applications."""

    def __init__(self, database: Database, reads: Reads) -> None:
        """Serve applications.

        Args:
            database: where they are.
            reads: what is in memory; evicted by every write before it returns.
        """
        self._database = database
        self._reads = reads

    def create(
        self,
        document: ApplicationDocument,
        *,
        application_id: str | None,
        provenance: Provenance,
    ) -> ApplicationDetail:
        """Add an application.

        Args:
            document: its members.
            application_id: the id it shall have; ``None`` for a new one.
            provenance: who does it and why.

        Raises:
            ConflictError: the id or the name is taken.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            moment = store.changes.take_turn()
            application = store.applications.insert(
                application_id=application_id or new_ulid(),
                name=document.name,
                comments=document.comments,
                moment=moment,
            )
            store.environments.insert(
                application_id=application.id,
                name=DEFAULT_ENVIRONMENT,
                document=EnvironmentDocument(position=0, auto_release=True, protected=False),
                moment=moment,
            )
            change = _change("create", application, provenance, environments=(DEFAULT_ENVIRONMENT,))
            store.changes.append([change], moment=moment)
        self._reads.changed(application.id, None, (DEFAULT_ENVIRONMENT,))
        return ApplicationDetail(application, ())

    def get(self, key: str) -> ApplicationDetail:
        """Return one application by id or name.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.autocommit() as connection:
            return _found(key, Repositories.over(connection).applications.find(key))

    def list(
        self, request: PageRequest, *, name: str | None = None, text: str | None = None
    ) -> Page[Application]:
        """Return one page of applications (see the repository for the filters)."""
        with self._database.autocommit() as connection:
            return Repositories.over(connection).applications.page(request, name=name, text=text)

    def edit(
        self,
        key: str,
        edit: Edit[ApplicationDetail, ApplicationDocument],
        *,
        provenance: Provenance,
        precondition: Precondition[ApplicationDetail] = always,
    ) -> ApplicationDetail:
        """Change an application.

        Args:
            key: its id or name.
            edit: makes the new document from the current application.
            provenance: who does it and why.
            precondition: may refuse the change.

        Raises:
            NotFoundError: there is no such application.
            ConflictError: the new name is taken.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current = _found(key, store.applications.find(key, lock=True))
            precondition(current)
            document = edit(current)
            moment = store.changes.take_turn()
            application = store.applications.update(
                application_id=current.application.id,
                name=document.name,
                comments=document.comments,
                moment=moment,
            )
            is_renamed = application.name != current.application.name
            # A snapshot has the name of its application.
            environments = _environments(store, application.id) if is_renamed else ()
            change = _change(
                "update",
                application,
                provenance,
                environments=environments,
                previous_name=current.application.name if is_renamed else None,
            )
            store.changes.append([change], moment=moment)
        self._reads.changed(application.id, None, environments)
        return ApplicationDetail(application, current.configuration_ids)

    def delete(
        self,
        key: str,
        *,
        provenance: Provenance,
        precondition: Precondition[ApplicationDetail] = always,
    ) -> None:
        """Remove an application with its configurations; their revisions stay.

        Raises:
            NotFoundError: there is no such application.
            StateError: a protected environment serves one of them.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current = _found(key, store.applications.find(key, lock=True))
            precondition(current)
            application = current.application
            store.configurations.lock_all_of(application.id)
            moment = store.changes.take_turn()
            pointers = store.releases.served_in(application.id)
            require_unprotected(store, application.id, pointers)
            store.releases.forget(application.id)
            removed = store.configurations.delete_all_of(application.id)
            environments = _environments(store, application.id)
            serving = _serving(pointers)
            for environment in environments:
                store.environments.delete(application.id, environment, moment=moment)
            store.applications.delete(application.id)
            store.changes.append(
                [
                    *(
                        Change(
                            "delete",
                            "configuration",
                            application.id,
                            configuration_id,
                            name,
                            version,
                            provenance,
                            environments=tuple(serving[configuration_id]),
                        )
                        for configuration_id, name, version in removed
                    ),
                    _change("delete", application, provenance, environments=environments),
                ],
                moment=moment,
            )
        for configuration_id, _, _ in removed:
            self._reads.changed(application.id, configuration_id, ())
        self._reads.changed(application.id, None, environments)


def _found(key: str, detail: ApplicationDetail | None) -> ApplicationDetail:
    if detail is None:
        raise NotFoundError("application", key)
    return detail


def _environments(store: Repositories, application_id: str) -> tuple[str, ...]:
    return tuple(environment.name for environment in store.environments.all_of(application_id))


def _serving(pointers: Sequence[Pointer]) -> dict[str, list[str]]:
    serving = defaultdict(list)
    for pointer in pointers:
        serving[pointer.configuration_id].append(pointer.environment)
    return serving


def _change(
    action: Action,
    application: Application,
    provenance: Provenance,
    *,
    environments: tuple[str, ...] = (),
    previous_name: str | None = None,
) -> Change:
    return Change(
        action,
        "application",
        application.id,
        None,
        application.name,
        None,
        provenance,
        environments=environments,
        previous_name=previous_name,
    )
