"""Application use cases."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.entity_tags import EntityTags
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
    Provenance,
    ServedVersion,
)
from configsvc_server.domain.names import require_name
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import require, require_application
from configsvc_server.services.guards import (
    find_application,
    find_application_id,
    require_match,
    require_unchanged,
    require_unprotected,
)
from configsvc_server.services.searches import Searches

__all__ = ["ApplicationService"]


class ApplicationService:
    """Creates, reads, updates and deletes applications."""

    def __init__(self, database: Database, cache: ResponseCache) -> None:
        """Create the service.

        Args:
            database: where they are stored.
            cache: what every write evicts before it returns.
        """
        self._database = database
        self._cache = cache
        self._searches = Searches()

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
            application_id: its id, a ULID in upper case; ``None`` for a new one.
            provenance: author, request and message.

        Raises:
            ForbiddenError: the principal may not create applications.
            ConflictError: the id or the name is taken.
        """
        require(provenance.principal, Permission.CREATE_APPLICATION)
        new_id = application_id or new_ulid()
        with self._database.transaction() as connection:
            store = Repositories(connection)
            timestamp = store.changes.acquire_write_lock()
            store.applications.insert(application_id=new_id, document=document, timestamp=timestamp)
            store.environments.insert(
                application_id=new_id,
                name=DEFAULT_ENVIRONMENT,
                document=EnvironmentDocument(position=0, auto_release=True, protected=False),
                timestamp=timestamp,
            )
            change = _change(
                "create", new_id, document.name, provenance, environments=(DEFAULT_ENVIRONMENT,)
            )
            store.changes.append([change], timestamp=timestamp)
            detail = find_application(store, new_id)
        self._cache.evict(new_id, None, (DEFAULT_ENVIRONMENT,))
        return detail

    def get(self, principal: Principal, key: str) -> ApplicationDetail:
        """Return one application by id or name, with the configurations that ``principal`` reads.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            application_id = find_application_id(store, key)
            require_application(principal, Permission.READ_APPLICATION, application_id, key)
            detail = store.applications.find(
                application_id, principal.access.readable_environments(application_id)
            )
        if detail is None:
            raise NotFoundError("application", key)
        return detail

    def list(
        self,
        principal: Principal,
        request: PageRequest,
        *,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Application]:
        """Return one page of the applications that ``principal`` reads (see the repository)."""
        with self._searches.slot(text), self._database.autocommit() as connection:
            return Repositories(connection).applications.page(
                request, access=principal.access, name=name, text=text
            )

    def update(
        self,
        key: str,
        members: Mapping[str, str | None],
        *,
        provenance: Provenance,
        application_id: str | None = None,
        if_match: EntityTags | None = None,
    ) -> ApplicationDetail:
        """Change members of an application.

        Args:
            key: its id or name.
            members: those of its document that are to be set.
            provenance: author, request and message.
            application_id: the id that it must have; ``None`` for any.
            if_match: the states that it may be in; ``None`` for any.

        Raises:
            NotFoundError: there is no such application.
            ForbiddenError: the principal may not do this to it.
            PreconditionFailedError: it is in another state.
            InvalidError: it has another id, or the new name can't be one.
            ConflictError: the new name is taken.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            locked_id = find_application_id(store, key, lock=True)
            require_application(provenance.principal, Permission.UPDATE_APPLICATION, locked_id, key)
            timestamp = store.changes.acquire_write_lock()
            current = find_application(store, locked_id).application
            require_match(if_match, current.etag)
            require_unchanged("id", application_id, current.id)
            document = ApplicationDocument(
                members.get("name") or current.name, members.get("comments", current.comments)
            )
            is_renamed = document.name != current.name
            if is_renamed:
                require_application(
                    provenance.principal, Permission.RENAME_APPLICATION, current.id, key
                )
            require_name(document.name, current.name)
            store.applications.update(
                application_id=current.id, document=document, timestamp=timestamp
            )
            # A snapshot has the name of its application.
            environments = _environments(store, current.id) if is_renamed else ()
            change = _change(
                "update",
                current.id,
                document.name,
                provenance,
                environments=environments,
                previous_name=current.name if is_renamed else None,
            )
            store.changes.append([change], timestamp=timestamp)
            detail = find_application(store, current.id)
        self._cache.evict(current.id, None, environments)
        return detail

    def delete(
        self, key: str, *, provenance: Provenance, if_match: EntityTags | None = None
    ) -> None:
        """Remove an application with its configurations; their revisions stay.

        Raises:
            NotFoundError: there is no such application.
            ForbiddenError: the principal may not do this to it.
            PreconditionFailedError: it is in another state.
            StateError: a protected environment serves one of its configurations.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            locked_id = find_application_id(store, key, lock=True)
            require_application(provenance.principal, Permission.DELETE_APPLICATION, locked_id, key)
            store.configurations.lock_all_of(locked_id)
            timestamp = store.changes.acquire_write_lock()
            application = find_application(store, locked_id).application
            require_match(if_match, application.etag)
            served = store.releases.served_in_application(application.id)
            require_unprotected(store, application.id, served)
            store.releases.delete_served(application.id)
            removed = store.configurations.delete_all_of(application.id)
            environments = _environments(store, application.id)
            serving = _serving(served)
            for environment in environments:
                store.environments.delete(application.id, environment, timestamp=timestamp)
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
                    _change(
                        "delete",
                        application.id,
                        application.name,
                        provenance,
                        environments=environments,
                    ),
                ],
                timestamp=timestamp,
            )
        for configuration_id, _, _ in removed:
            self._cache.evict(application.id, configuration_id, ())
        self._cache.evict(application.id, None, environments)


def _environments(store: Repositories, application_id: str) -> tuple[str, ...]:
    return tuple(environment.name for environment in store.environments.all_of(application_id))


def _serving(served: Sequence[ServedVersion]) -> dict[str, list[str]]:
    """Return the names of the environments that serve each configuration."""
    serving = defaultdict(list)
    for version in served:
        serving[version.configuration_id].append(version.environment)
    return serving


def _change(
    action: Action,
    application_id: str,
    name: str,
    provenance: Provenance,
    *,
    environments: tuple[str, ...] = (),
    previous_name: str | None = None,
) -> Change:
    return Change(
        action,
        "application",
        application_id,
        None,
        name,
        None,
        provenance,
        environments=environments,
        previous_name=previous_name,
    )
