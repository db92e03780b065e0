"""Environment use cases."""

from datetime import datetime

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.errors import (
    FieldError,
    InvalidError,
    SnapshotTooLargeError,
    StateError,
)
from configsvc_server.domain.models import (
    DEFAULT_ENVIRONMENT,
    MAX_ENVIRONMENTS,
    MAX_POSITION,
    MAX_SNAPSHOT_BYTES,
    Action,
    Change,
    Configuration,
    Environment,
    EnvironmentDocument,
    EnvironmentPatch,
    Provenance,
    ReleaseMove,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import require_application, require_environment
from configsvc_server.services.document_checks import DocumentChecks
from configsvc_server.services.guards import (
    find_application_id,
    find_environment,
    require_match,
    require_unchanged,
)
from configsvc_server.services.write_attempts import WriteAttempt, optimistic_retry

__all__ = ["EnvironmentService"]


class EnvironmentService:
    """Creates, reads, updates and deletes environments."""

    def __init__(self, database: Database, cache: ResponseCache, *, checks: DocumentChecks) -> None:
        """Create the service.

        Args:
            database: where they are stored.
            cache: what every write evicts before it returns.
            checks: what configurations have to pass before an environment serves them.
        """
        self._database = database
        self._cache = cache
        self._checks = checks

    def create(
        self,
        application: str,
        name: str,
        *,
        position: int | None,
        auto_release: bool | None,
        protected: bool,
        provenance: Provenance,
    ) -> Environment:
        """Add an environment.

        With ``auto_release`` it begins with the newest version of every configuration, as if it
        had existed all along; otherwise it begins empty.

        Args:
            application: id or name of the application.
            name: its name.
            position: its position in the order of promotion; ``None`` for last.
            auto_release: whether new revisions are released to it at once; ``None``: true
                unless it is protected.
            protected: whether nothing but an explicit release changes what it serves.
            provenance: author, request and message.

        Raises:
            NotFoundError: there is no such application.
            ForbiddenError: the principal may not create environments.
            InvalidError: a configuration would break its schema in it, or it would be both
                protected and released to at once.
            ConflictError: there is one of this name.
            StateError: the application has as many as it may have, or more configurations than
                fit into one snapshot.
        """
        releases_at_once = not protected if auto_release is None else auto_release
        _require_consistent(EnvironmentDocument(0, releases_at_once, protected))
        passed: set[tuple[str, int]] = set()

        def attempt(write: WriteAttempt) -> Environment:
            with write.reading() as store:
                application_id = find_application_id(store, application)
                require_application(
                    provenance.principal,
                    Permission.CREATE_ENVIRONMENT,
                    application_id,
                    application,
                )
                others = store.environments.all_of(application_id)
                newest = _newest(store, application_id, name) if releases_at_once else []
                keys = [(configuration.id, configuration.version) for configuration in newest]
                revisions = store.revisions.find_all(keys, only_with_schema=True)
            if len(others) >= MAX_ENVIRONMENTS:
                message = f"An application has at most {MAX_ENVIRONMENTS} environments."
                raise StateError("too-many-environments", message)
            self._checks.check_release(
                [revisions[key] for key in keys if key in revisions],
                name,
                pointer="/auto_release",
                passed=passed,
                caller=provenance.caller,
                holds_write_lock=write.holds_write_lock,
            )
            last = max((environment.position for environment in others), default=-1)
            following = min(last + 1, MAX_POSITION)
            document = EnvironmentDocument(
                following if position is None else position, releases_at_once, protected
            )
            with write.writing() as store:
                find_application_id(store, application_id, lock=True)
                timestamp = store.changes.acquire_write_lock(
                    observed_change_id=write.observed_change_id, application_id=application_id
                )
                environment = store.environments.insert(
                    application_id=application_id, name=name, document=document, timestamp=timestamp
                )
                store.releases.release(
                    [_first_release(configuration, name) for configuration in newest],
                    provenance,
                    timestamp=timestamp,
                )
                change = _change("create", environment, provenance, environments=(name,))
                store.changes.append([change], timestamp=timestamp)
            return environment

        environment = optimistic_retry(
            self._database,
            attempt,
            lock_application=application,
        )
        self._cache.evict(environment.application_id, None, (name,))
        return environment

    def get(self, principal: Principal, application: str, name: str) -> Environment:
        """Return one environment.

        Raises:
            NotFoundError: there is no such application or environment that ``principal`` reads.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            application_id = find_application_id(store, application)
            require_environment(
                principal, Permission.READ_ENVIRONMENT, application_id, name, key=application
            )
            return find_environment(store, application_id, name)

    def list(
        self, principal: Principal, application: str, request: PageRequest
    ) -> Page[Environment]:
        """Return one page of the environments of an application that ``principal`` reads.

        Raises:
            NotFoundError: there is no such application.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            application_id = find_application_id(store, application)
            require_application(principal, Permission.READ_APPLICATION, application_id, application)
            names = principal.access.readable_environments(application_id)
            return store.environments.page(application_id, request, names=names)

    def update(
        self,
        application: str,
        name: str,
        patch: EnvironmentPatch,
        *,
        provenance: Provenance,
        application_id: str | None = None,
        new_name: str | None = None,
        if_match: EntityTags | None = None,
    ) -> Environment:
        """Change members of an environment; what it serves stays as it is.

        Args:
            application: id or name of the application.
            name: its name.
            patch: what to set.
            provenance: author, request and message.
            application_id: the application it must belong to; ``None`` for any.
            new_name: must be its name, which cannot change; ``None`` for any.
            if_match: the states that it may be in; ``None`` for any.

        Raises:
            NotFoundError: there is no such application or environment.
            PreconditionFailedError: it is in another state.
            InvalidError: a member cannot change, or it would be both protected and released to
                at once.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            current, timestamp = _lock(store, provenance.principal, application, name)
            require_match(if_match, current.etag)
            require_unchanged("application_id", application_id, current.application_id)
            require_unchanged("name", new_name, current.name, why=_NAME_IS_FINAL)
            document = patch.apply(current.document)
            _require_consistent(document)
            environment = store.environments.update(
                application_id=current.application_id,
                name=current.name,
                document=document,
                timestamp=timestamp,
            )
            change = _change("update", environment, provenance)
            store.changes.append([change], timestamp=timestamp)
        self._cache.evict(environment.application_id, None, ())
        return environment

    def delete(
        self,
        application: str,
        name: str,
        *,
        provenance: Provenance,
        if_match: EntityTags | None = None,
    ) -> None:
        """Remove an environment; past snapshots of it can still be read.

        Raises:
            NotFoundError: there is no such application or environment.
            PreconditionFailedError: it is in another state.
            StateError: it is the default one, or protected.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            current, timestamp = _lock(store, provenance.principal, application, name)
            require_match(if_match, current.etag)
            _require_deletable(current)
            store.releases.delete_served(current.application_id, name)
            # One that gets this name later is another one.
            store.grants.delete_on(current.application_id, name)
            store.environments.delete(current.application_id, name, timestamp=timestamp)
            change = _change("delete", current, provenance, environments=(name,))
            store.changes.append([change], timestamp=timestamp)
        self._cache.evict(current.application_id, None, (name,))


_NAME_IS_FINAL = "overlays and clients know the environment by it"


def _lock(
    store: Repositories, principal: Principal, application: str, name: str
) -> tuple[Environment, datetime]:
    """Return an environment that nobody else can change now, and the timestamp of the write."""
    application_id = find_application_id(store, application, lock=True)
    require_environment(
        principal, Permission.ADMINISTER_ENVIRONMENT, application_id, name, key=application
    )
    timestamp = store.changes.acquire_write_lock()
    return find_environment(store, application_id, name), timestamp


def _newest(store: Repositories, application_id: str, environment: str) -> list[Configuration]:
    # Looked at before they are read: an application may have far more.
    if store.configurations.size_of(application_id) > MAX_SNAPSHOT_BYTES:
        raise SnapshotTooLargeError(environment, MAX_SNAPSHOT_BYTES)
    return store.configurations.newest_of(application_id)


def _require_consistent(document: EnvironmentDocument) -> None:
    if document.protected and document.auto_release:
        message = "must be false in a protected environment: only explicit releases change it"
        raise InvalidError([FieldError("/auto_release", message)])


def _require_deletable(environment: Environment) -> None:
    if environment.name == DEFAULT_ENVIRONMENT:
        message = f"Every application has the environment {DEFAULT_ENVIRONMENT!r}: it stays."
        raise StateError("default-environment", message)
    if environment.protected:
        message = (
            f"The environment {environment.name!r} is protected. "
            "Set its member protected to false first."
        )
        raise StateError("protected", message)


def _first_release(configuration: Configuration, environment: str) -> ReleaseMove:
    return ReleaseMove(
        configuration.application_id,
        environment,
        configuration.id,
        configuration.name,
        configuration.version,
        None,
    )


def _change(
    action: Action,
    environment: Environment,
    provenance: Provenance,
    *,
    environments: tuple[str, ...] = (),
) -> Change:
    return Change(
        action,
        "environment",
        environment.application_id,
        None,
        environment.name,
        None,
        provenance,
        environments=environments,
    )
