"""Configuration use cases."""

from collections.abc import Callable, Sequence
from functools import partial

from configsvc_server.cache.responses import CachedResponse, ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission, decide
from configsvc_server.domain.access.grants import EVERYTHING, INSTALLATION, Scope
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.errors import ConflictError
from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid
from configsvc_server.domain.models import (
    Change,
    Configuration,
    ConfigurationDocument,
    Provenance,
    ServedVersion,
)
from configsvc_server.domain.names import is_name, require_name
from configsvc_server.domain.overlays import resolve_all
from configsvc_server.domain.pages import Page, PageRequest, Sort
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import (
    require_application,
    require_configuration,
    require_environment,
)
from configsvc_server.services.configuration_writer import ConfigurationWriter, Edit
from configsvc_server.services.guards import (
    find_application_id,
    find_configuration,
    require_free_name,
    require_match,
    require_unchanged,
    require_unprotected,
    unrelease_move,
)
from configsvc_server.services.searches import Searches
from configsvc_server.services.write_attempts import WriteAttempt

__all__ = ["ConfigurationService"]


class ConfigurationService:
    """Creates, reads, updates and deletes configurations."""

    def __init__(
        self,
        database: Database,
        cache: ResponseCache,
        *,
        writer: ConfigurationWriter,
        render: Callable[[Configuration], CachedResponse],
    ) -> None:
        """Create the service.

        Args:
            database: where they are stored.
            cache: what every write evicts before it returns.
            writer: writes them.
            render: returns the response of a configuration.
        """
        self._database = database
        self._cache = cache
        self._writer = writer
        self._render = render
        self._searches = Searches()

    def create(
        self,
        document: ConfigurationDocument,
        *,
        application: str,
        configuration_id: str | None,
        provenance: Provenance,
        required_application_id: str | None = None,
    ) -> Configuration:
        """Add a configuration as version 1, or as the next version of an id used before.

        Args:
            document: its members.
            application: id or name of the application.
            configuration_id: its id, a ULID in upper case; ``None`` for a new one.
            provenance: author, request and message.
            required_application_id: the id that the application must have; ``None`` for
                any.

        Raises:
            NotFoundError: there is no such application.
            InvalidError: the application has another id, or the document breaks its schema or
                has an unknown environment.
            ConflictError: the id, or the name within the application, is taken; also by a
                deleted configuration that the principal may not restore.
            StateError: an environment serves another configuration under this name.
        """
        principal = provenance.principal
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            application_id = _application_id(store, application)
            require_application(
                principal, Permission.WRITE_CONFIGURATIONS, application_id, application
            )
            require_unchanged("application_id", required_application_id, application_id)
            if configuration_id is not None:
                _require_own_id(store, principal, configuration_id)
        return self._writer.create(
            document,
            application_id=application_id,
            configuration_id=configuration_id or new_ulid(),
            provenance=provenance,
        )

    def validate_new(
        self, principal: Principal, document: ConfigurationDocument, *, application_id: str
    ) -> dict[str, JsonObject]:
        """Try to create a configuration, without writing it, for ``principal``.

        Returns:
            The values that each environment would serve.

        Raises:
            NotFoundError, InvalidError, ConflictError, StateError: as creating it would.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            found_id = find_application_id(store, application_id)
        require_application(principal, Permission.READ_CONFIGURATIONS, found_id, application_id)
        return self._try(document, found_id, None, principal.fair_key)

    def validate_change(
        self,
        principal: Principal,
        configuration_id: str,
        edit: Edit,
        *,
        application_id: str | None = None,
    ) -> dict[str, JsonObject]:
        """Try to change a configuration, without writing it (see :meth:`update`).

        Returns:
            The values that each environment would serve.

        Raises:
            NotFoundError, InvalidError, ConflictError, StateError: as changing it would.
        """
        with self._database.autocommit() as connection:
            current = find_configuration(Repositories(connection), configuration_id)
        require_configuration(
            principal, Permission.READ_CONFIGURATIONS, current.application_id, configuration_id
        )
        require_unchanged("application_id", application_id, current.application_id)
        document = _checked(edit, current)
        return self._try(document, current.application_id, current, principal.fair_key)

    def _try(
        self,
        document: ConfigurationDocument,
        application_id: str,
        current: Configuration | None,
        caller: str,
    ) -> dict[str, JsonObject]:
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            named = store.configurations.page(
                PageRequest(1, Sort(("id",))),
                access=EVERYTHING,
                application_id=application_id,
                name=document.name,
            ).items
            if named and (current is None or named[0].id != current.id):
                raise ConflictError(entity="configuration", field="name", value=document.name)
            own_id = None if current is None else current.id
            require_free_name(store, application_id, document.name, own_id)
            environments = [e.name for e in store.environments.all_of(application_id)]
        self._writer.check(
            WriteAttempt(self._database),
            document,
            application_id=application_id,
            current=current,
            caller=caller,
        )
        return resolve_all(document, environments)

    def get(
        self, principal: Principal, configuration_id: str, *, bypass_cache: bool = False
    ) -> CachedResponse:
        """Return the response of one configuration.

        Args:
            principal: who asks.
            configuration_id: its id.
            bypass_cache: whether to read the database in any case.

        Raises:
            NotFoundError: there is none.
        """

        def load() -> CachedResponse:
            with self._database.autocommit() as connection:
                store = Repositories(connection)
                return self._render(find_configuration(store, configuration_id))

        cached = self._cache.configurations
        read = cached.reload if bypass_cache else cached.get
        response = read(normalize_ulid(configuration_id), load)
        require_configuration(
            principal,
            Permission.READ_CONFIGURATIONS,
            response.application_id,
            configuration_id,
        )
        return response

    def list(
        self,
        principal: Principal,
        request: PageRequest,
        *,
        application_id: str | None = None,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Configuration]:
        """Return one page of configurations that ``principal`` reads (see the repository)."""
        everywhere = text if application_id is None else None
        with self._searches.slot(everywhere), self._database.autocommit() as connection:
            return Repositories(connection).configurations.page(
                request,
                access=principal.access,
                application_id=application_id,
                name=name,
                text=text,
            )

    def list_of(
        self,
        principal: Principal,
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
            store = Repositories(connection)
            application_id = find_application_id(store, application)
            require_application(principal, Permission.READ_APPLICATION, application_id, application)
            return store.configurations.page(
                request,
                access=principal.access,
                application_id=application_id,
                name=name,
                text=text,
            )

    def update(
        self,
        configuration_id: str,
        document: ConfigurationDocument | Edit,
        *,
        provenance: Provenance,
        required_id: str | None = None,
        application_id: str | None = None,
        if_match: EntityTags | None = None,
    ) -> Configuration:
        """Write the next version of a configuration (see the writer).

        Args:
            configuration_id: its id.
            document: the new document, or what makes it from the current configuration.
            provenance: author, request and message.
            required_id: the id that it must have, in upper case; ``None`` for any.
            application_id: the application it must belong to; ``None`` for any.
            if_match: the states that it may be in; ``None`` for any.
        """
        owner = self._require_writable(configuration_id, provenance.principal)
        require_unchanged("id", required_id, normalize_ulid(configuration_id))
        edit: Edit | None = document if callable(document) else None
        if isinstance(document, ConfigurationDocument) and not is_name(document.name):
            # Whether it has the name already can't be known before it is read.
            edit = partial(_unchanged_by, document)
        return self._writer.update(
            configuration_id,
            document if edit is None else partial(_checked, edit),
            provenance=provenance,
            application_id=application_id,
            owner=owner,
            if_match=if_match,
        )

    def _require_writable(self, configuration_id: str, principal: Principal) -> str | None:
        """Check that a principal may write a configuration.

        Returns:
            The application that it has to belong to when it is written; ``None`` for any.
        """
        if decide(principal, Permission.WRITE_CONFIGURATIONS, INSTALLATION).is_allowed:
            return None
        with self._database.autocommit() as connection:
            current = find_configuration(Repositories(connection), configuration_id)
        require_configuration(
            principal, Permission.WRITE_CONFIGURATIONS, current.application_id, configuration_id
        )
        return current.application_id

    def delete(
        self,
        configuration_id: str,
        *,
        provenance: Provenance,
        if_match: EntityTags | None = None,
    ) -> None:
        """Remove a configuration; its revisions stay.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: it is at another version.
            StateError: a protected environment serves it.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            current = find_configuration(store, configuration_id, lock=True)
            principal = provenance.principal
            require_configuration(
                principal,
                Permission.WRITE_CONFIGURATIONS,
                current.application_id,
                configuration_id,
            )
            require_match(if_match, current.etag, current_version=current.version)
            timestamp = store.changes.acquire_write_lock()
            served = store.releases.served_of(current.id)
            require_unprotected(store, current.application_id, served)
            _require_withdrawable(store, principal, current, served)
            moves = [unrelease_move(version) for version in served]
            store.releases.release(moves, provenance, timestamp=timestamp)
            store.configurations.delete(current.id)
            environments = tuple(version.environment for version in served)
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
            store.changes.append([change], timestamp=timestamp)
        self._cache.evict(current.application_id, current.id, environments)


def _require_withdrawable(
    store: Repositories,
    principal: Principal,
    configuration: Configuration,
    served: Sequence[ServedVersion],
) -> None:
    """Check that a principal may change those environments that don't release at once."""
    at_once = {
        environment.name
        for environment in store.environments.all_of(configuration.application_id)
        if environment.auto_release
    }
    for version in served:
        if version.environment not in at_once:
            require_environment(
                principal,
                Permission.RELEASE,
                configuration.application_id,
                version.environment,
            )


def _checked(edit: Edit, current: Configuration) -> ConfigurationDocument:
    document = edit(current)
    require_name(document.name, current.name)
    return document


def _unchanged_by(document: ConfigurationDocument, _: Configuration) -> ConfigurationDocument:
    return document


def _require_own_id(store: Repositories, principal: Principal, configuration_id: str) -> None:
    """Check that an id was never used, or by what the principal may write.

    Whoever uses an id again has all its history.

    Raises:
        ConflictError: it is that of a configuration, perhaps a deleted one, of others.
    """
    newest = store.revisions.newest(configuration_id)
    if newest is None:
        return
    if not decide(principal, Permission.WRITE_CONFIGURATIONS, Scope(newest[1])).is_allowed:
        raise ConflictError(entity="configuration", field="id", value=configuration_id)


def _application_id(store: Repositories, key: str) -> str:
    if is_ulid(key):
        # The insert finds out whether it exists, in its own round trip.
        return normalize_ulid(key)
    return find_application_id(store, key)
