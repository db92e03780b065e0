"""What can be done with the environments of an application."""

from collections.abc import Sequence
from datetime import datetime

from configsvc_server.cache.responses import Reads
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import NotFoundError, StateError
from configsvc_server.domain.models import (
    DEFAULT_ENVIRONMENT,
    MAX_ENVIRONMENTS,
    MAX_POSITION,
    Action,
    Change,
    Configuration,
    Environment,
    EnvironmentDocument,
    Move,
    Provenance,
)
from configsvc_server.repositories import Repositories
from configsvc_server.services.document_checks import DocumentChecks
from configsvc_server.services.edits import Edit, Precondition, always
from configsvc_server.services.guards import find_application_id
from configsvc_server.services.write_attempts import Attempt, take_turns

__all__ = ["EnvironmentService"]


class EnvironmentService:
    """Creates, reads, changes and deletes environments."""

    def __init__(self, database: Database, reads: Reads, *, checks: DocumentChecks) -> None:
        """Serve environments.

        Args:
            database: where they are.
            reads: what is in memory; evicted by every write before it returns.
            checks: what configurations have to pass before an environment serves them.
        """
        self._database = database
        self._reads = reads
        self._checks = checks

    def create(
        self,
        application: str,
        name: str,
        *,
        position: int | None,
        auto_release: bool,
        protected: bool,
        provenance: Provenance,
    ) -> Environment:
        """Add an environment.

        One that releases by itself begins with the newest version of every configuration, as
        if it had been there all along; another one begins empty.

        Args:
            application: id or name of the application.
            name: what it shall be called.
            position: where it stands in the order of promotion; ``None`` for last.
            auto_release: whether new revisions are released to it at once.
            protected: whether nothing but an explicit release changes what it serves.
            provenance: who does it and why.

        Raises:
            NotFoundError: there is no such application.
            InvalidError: a configuration would break its schema in it.
            ConflictError: there is one of this name.
            StateError: the application has as many as it may have.
        """
        passed: set[tuple[str, int]] = set()

        def attempt(turn: Attempt) -> Environment:
            with turn.reading() as store:
                application_id = find_application_id(store, application)
                others = store.environments.all_of(application_id)
                newest = store.configurations.newest_of(application_id) if auto_release else []
                keys = [(configuration.id, configuration.version) for configuration in newest]
                revisions = store.revisions.find_all(keys)
            if len(others) >= MAX_ENVIRONMENTS:
                message = f"An application has at most {MAX_ENVIRONMENTS} environments."
                raise StateError("too-many-environments", message)
            self._checks.check_release(
                [revisions[key] for key in keys],
                name,
                pointer_to="/auto_release",
                passed=passed,
                is_in_turn=turn.is_in_turn,
            )
            last = max((environment.position for environment in others), default=-1)
            following = min(last + 1, MAX_POSITION)
            document = EnvironmentDocument(
                following if position is None else position, auto_release, protected
            )
            with turn.writing() as store:
                if not store.applications.lock(application_id):
                    raise NotFoundError("application", application)
                moment = store.changes.take_turn(seen=turn.seen, application_id=application_id)
                environment = store.environments.insert(
                    application_id=application_id, name=name, document=document, moment=moment
                )
                store.releases.move(
                    [_first(configuration, name) for configuration in newest],
                    provenance,
                    moment=moment,
                )
                change = _change("create", environment, provenance, environments=(name,))
                store.changes.append([change], moment=moment)
            return environment

        environment = take_turns(
            self._database,
            attempt,
            lock=lambda store: store.applications.lock(find_application_id(store, application)),
        )
        self._reads.changed(environment.application_id, None, (name,))
        return environment

    def get(self, application: str, name: str) -> Environment:
        """Return one environment.

        Raises:
            NotFoundError: there is no such application or environment.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            return _find(store, find_application_id(store, application), name)

    def list(self, application: str) -> Sequence[Environment]:
        """Return the environments of an application, in the order of promotion.

        Raises:
            NotFoundError: there is no such application.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            return store.environments.all_of(find_application_id(store, application))

    def edit(
        self,
        application: str,
        name: str,
        edit: Edit[Environment, EnvironmentDocument],
        *,
        provenance: Provenance,
        precondition: Precondition[Environment] = always,
    ) -> Environment:
        """Change an environment; what it serves stays as it is.

        Args:
            application: id or name of the application.
            name: its name.
            edit: makes the new document from the current environment.
            provenance: who does it and why.
            precondition: may refuse the change.

        Raises:
            NotFoundError: there is no such application or environment.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current, moment = _lock(store, application, name)
            precondition(current)
            environment = store.environments.update(
                application_id=current.application_id,
                name=current.name,
                document=edit(current),
                moment=moment,
            )
            store.changes.append([_change("update", environment, provenance)], moment=moment)
        self._reads.changed(environment.application_id, None, ())
        return environment

    def delete(
        self,
        application: str,
        name: str,
        *,
        provenance: Provenance,
        precondition: Precondition[Environment] = always,
    ) -> None:
        """Remove an environment; what it has served can still be told.

        Raises:
            NotFoundError: there is no such application or environment.
            StateError: it is the default one, or protected.
        """
        with self._database.transaction() as connection:
            store = Repositories.over(connection)
            current, moment = _lock(store, application, name)
            precondition(current)
            _require_deletable(current)
            store.releases.forget(current.application_id, name)
            store.environments.delete(current.application_id, name, moment=moment)
            change = _change("delete", current, provenance, environments=(name,))
            store.changes.append([change], moment=moment)
        self._reads.changed(current.application_id, None, (name,))


def _find(store: Repositories, application_id: str, name: str) -> Environment:
    environment = None if "\0" in name else store.environments.find(application_id, name)
    if environment is None:
        raise NotFoundError("environment", name)
    return environment


def _lock(store: Repositories, application: str, name: str) -> tuple[Environment, datetime]:
    application_id = find_application_id(store, application)
    if not store.applications.lock(application_id):
        raise NotFoundError("application", application)
    moment = store.changes.take_turn()
    return _find(store, application_id, name), moment


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


def _first(configuration: Configuration, environment: str) -> Move:
    return Move(
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
