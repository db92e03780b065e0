"""How every version of a configuration comes to be, whichever use case makes it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from configsvc_server.cache.responses import Reads
from configsvc_server.db.database import Database
from configsvc_server.domain.digest import document_digest
from configsvc_server.domain.errors import StaleError, StateError
from configsvc_server.domain.identifiers import normalize_ulid
from configsvc_server.domain.models import (
    Action,
    Configuration,
    ConfigurationDocument,
    Provenance,
)
from configsvc_server.repositories import Repositories
from configsvc_server.repositories.configurations import NameTakenInEnvironmentError, Written
from configsvc_server.services.document_checks import DocumentChecks, is_unbound
from configsvc_server.services.guards import find_configuration, require_free_name
from configsvc_server.services.write_attempts import Attempt, take_turns

__all__ = ["ConfigurationWriter"]


class ConfigurationWriter:
    """Checks documents and writes them, each as the next version."""

    def __init__(self, database: Database, reads: Reads, *, checks: DocumentChecks) -> None:
        """Write to ``database``.

        Args:
            database: where they are.
            reads: what is in memory; evicted by every write before it returns.
            checks: what documents have to pass.
        """
        self._database = database
        self._reads = reads
        self._checks = checks

    def create(
        self,
        document: ConfigurationDocument,
        *,
        application_id: str,
        configuration_id: str,
        provenance: Provenance,
        action: Action = "create",
        source_version: int | None = None,
        created_at: datetime | None = None,
    ) -> Configuration:
        """Write the first version of a configuration, or the first one since it was deleted.

        Args:
            document: its members.
            application_id: a ULID in upper case.
            configuration_id: a ULID in upper case.
            provenance: who does it and why.
            action: what the change is called.
            source_version: where the content is from, if from an earlier version.
            created_at: when it was first created, if before.

        Raises:
            NotFoundError, InvalidError, ConflictError, StateError: it can't be.
        """
        digest = document_digest(document)

        def attempt(turn: Attempt) -> Written:
            seen = self.check(
                turn,
                document,
                application_id=application_id,
                current=None,
                may_have_unknown_overlays=action == "restore",
            )
            with turn.reading() as store:
                return store.configurations.insert(
                    configuration_id=configuration_id,
                    application_id=application_id,
                    document=document,
                    digest=digest,
                    provenance=provenance,
                    action=action,
                    source_version=source_version,
                    created_at=created_at,
                    seen=seen,
                )

        with self._naming_who_is_in_the_way(configuration_id, application_id):
            if is_unbound(document):
                return self._written(attempt(Attempt(self._database, None)))
            return self._written(
                take_turns(
                    self._database,
                    attempt,
                    lock=lambda store: store.applications.lock(application_id),
                )
            )

    def replace(
        self,
        configuration_id: str,
        document: ConfigurationDocument,
        *,
        provenance: Provenance,
        application_id: str | None,
        if_version: frozenset[int] | None,
    ) -> Configuration | None:
        """Write a document that needs no check as the next version, in one round trip.

        Returns:
            ``None`` where nothing was written (see the repository).
        """
        with (
            self._naming_who_is_in_the_way(configuration_id),
            self._database.autocommit() as connection,
        ):
            written = Repositories.over(connection).configurations.update(
                configuration_id=configuration_id,
                document=document,
                digest=document_digest(document),
                provenance=provenance,
                application_id=application_id,
                if_version=if_version,
            )
        return None if written is None else self._written(written)

    def edit(
        self,
        configuration_id: str,
        edit: Callable[[Configuration], ConfigurationDocument],
        *,
        provenance: Provenance,
        action: Action = "update",
        source_version: int | None = None,
    ) -> Configuration:
        """Make the next version from the current one.

        Args:
            configuration_id: its id.
            edit: makes the new document; may be called more than once.
            provenance: who does it and why.
            action: what the change is called.
            source_version: where the content is from, if from an earlier version.

        Raises:
            NotFoundError, InvalidError, ConflictError, StateError: it can't be.
        """

        def attempt(turn: Attempt) -> Written:
            with turn.reading() as store:
                current = find_configuration(store, configuration_id)
            document = edit(current)
            seen = self.check(
                turn,
                document,
                application_id=current.application_id,
                current=current,
                may_have_unknown_overlays=action == "rollback",
            )
            with turn.reading() as store:
                written = store.configurations.update(
                    configuration_id=current.id,
                    document=document,
                    digest=document_digest(document),
                    provenance=provenance,
                    action=action,
                    source_version=source_version,
                    if_version=frozenset({current.version}),
                    seen=seen,
                )
            if written is None:
                raise StaleError
            return written

        with self._naming_who_is_in_the_way(configuration_id):
            return self._written(
                take_turns(
                    self._database,
                    attempt,
                    lock=lambda store: find_configuration(store, configuration_id, lock=True),
                )
            )

    def check(
        self,
        turn: Attempt,
        document: ConfigurationDocument,
        *,
        application_id: str,
        current: Configuration | None,
        may_have_unknown_overlays: bool = False,
    ) -> int | None:
        """Check a document that is to be written.

        Returns:
            The last change that the check knows of; ``None`` where it depends on nothing.

        Raises:
            InvalidError: it may not be written.
        """
        if is_unbound(document):
            return None
        with turn.reading() as store:
            environments = store.environments.all_of(application_id)
            served = {}
            if current is not None and current.schema != document.schema:
                # The others will serve the new version.
                staying = {e.name for e in environments if not e.auto_release}
                pointers = [
                    pointer
                    for pointer in store.releases.served_of(current.id)
                    if pointer.environment in staying
                ]
                revisions = store.revisions.find_all(
                    [(p.configuration_id, p.version) for p in pointers]
                )
                served = {p.environment: revisions[p.configuration_id, p.version] for p in pointers}
        self._checks.check(
            document,
            current=None if current is None else current.document,
            environments=[environment.name for environment in environments],
            served=served,
            may_have_unknown_overlays=may_have_unknown_overlays,
            is_in_turn=turn.is_in_turn,
        )
        return turn.seen

    @contextmanager
    def _naming_who_is_in_the_way(
        self, configuration_id: str, application_id: str | None = None
    ) -> Iterator[None]:
        """Say which environment serves which other configuration under the name."""
        try:
            yield
        except NameTakenInEnvironmentError as error:
            with self._database.autocommit() as connection:
                store = Repositories.over(connection)
                if application_id is None:
                    current = find_configuration(store, configuration_id)
                    application_id = current.application_id
                require_free_name(
                    store, application_id, error.name, normalize_ulid(configuration_id)
                )
            # Whoever was in the way has just gone.
            message = "Another configuration was released under this name at the same time."
            raise StateError("name-served", message, pointer="/name") from None

    def _written(self, written: Written) -> Configuration:
        configuration = written.configuration
        self._reads.changed(configuration.application_id, configuration.id, written.environments)
        return configuration
