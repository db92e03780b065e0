"""Configuration writer: checks documents and writes them, each as the next version."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeAlias

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.errors import NotFoundError, StaleError, StateError
from configsvc_server.domain.identifiers import is_ulid, normalize_ulid
from configsvc_server.domain.models import (
    Action,
    Configuration,
    ConfigurationDocument,
    Provenance,
)
from configsvc_server.repositories import Repositories
from configsvc_server.repositories.configurations import (
    NameTakenInEnvironmentError,
    WrittenConfiguration,
)
from configsvc_server.services.document_checks import DocumentChecks
from configsvc_server.services.guards import (
    find_configuration,
    require_free_name,
    require_match,
    require_unchanged,
)
from configsvc_server.services.write_attempts import WriteAttempt, optimistic_retry

__all__ = ["ConfigurationWriter", "Edit"]

Edit: TypeAlias = Callable[[Configuration], ConfigurationDocument]
"""Returns the new document of a configuration, or raises to refuse the write; may be called
more than once."""

_VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class ConfigurationWriter:
    """The only code that writes a version of a configuration."""

    def __init__(self, database: Database, cache: ResponseCache, *, checks: DocumentChecks) -> None:
        """Create the writer.

        Args:
            database: where they are stored.
            cache: what every write evicts before it returns.
            checks: what documents have to pass.
        """
        self._database = database
        self._cache = cache
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
            provenance: author, request and message.
            action: the action of the change.
            source_version: the version whose content it has, if an earlier one.
            created_at: the time of its first creation, if it was deleted since.

        Raises:
            NotFoundError: there is no such application.
            InvalidError: the document breaks a rule.
            ConflictError: the id, or the name within the application, is taken.
            StateError: an environment serves another configuration under its name.
        """

        def attempt(write: WriteAttempt) -> WrittenConfiguration:
            observed_change_id = self.check(
                write,
                document,
                application_id=application_id,
                current=None,
                caller=provenance.caller,
                may_have_unknown_overlays=action == "restore",
            )
            with write.writing_once() as store:
                return store.configurations.insert(
                    configuration_id=configuration_id,
                    application_id=application_id,
                    document=document,
                    provenance=provenance,
                    action=action,
                    source_version=source_version,
                    created_at=created_at,
                    observed_change_id=observed_change_id,
                )

        with self._explained_name_conflict(configuration_id, application_id):
            if document.is_self_contained:
                written = attempt(WriteAttempt(self._database))
            else:
                written = optimistic_retry(self._database, attempt, lock_application=application_id)
        return self._evicted(written)

    def update(
        self,
        configuration_id: str,
        document: ConfigurationDocument | Edit,
        *,
        provenance: Provenance,
        application_id: str | None = None,
        owner: str | None = None,
        if_match: EntityTags | None = None,
        action: Action = "update",
        source_version: int | None = None,
    ) -> Configuration:
        """Write the next version of a configuration.

        A self-contained document is written by one statement, which writes nothing where a
        condition does not hold; everything else is read and checked before.

        Args:
            configuration_id: its id.
            document: the new document, or what makes it from the current configuration.
            provenance: author, request and message.
            application_id: the application it must belong to; ``None`` for any.
            owner: the application whose configurations the principal may write, and which it
                belonged to a moment ago; ``None`` if it may write those of any.
            if_match: the states that it may be in; ``None`` for any.
            action: the action of the change.
            source_version: the version whose content it has, if an earlier one.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: it is at another version.
            InvalidError: it belongs to another application, or the document breaks a rule.
            ConflictError: the new name is taken within the application.
            StateError: an environment serves another configuration under the new name.
        """

        def write_version(
            store: Repositories,
            new: ConfigurationDocument,
            if_version: frozenset[int] | None,
            observed_change_id: int | None = None,
        ) -> WrittenConfiguration | None:
            return store.configurations.update(
                configuration_id=normalize_ulid(configuration_id),
                document=new,
                provenance=provenance,
                action=action,
                source_version=source_version,
                application_id=application_id or owner,
                if_version=if_version,
                observed_change_id=observed_change_id,
            )

        def attempt(write: WriteAttempt) -> WrittenConfiguration:
            with write.reading() as store:
                current = find_configuration(store, configuration_id)
            require_match(if_match, current.etag, current_version=current.version)
            if owner is not None and current.application_id != owner:
                raise NotFoundError("configuration", configuration_id)
            require_unchanged("application_id", application_id, current.application_id)
            new = document(current) if callable(document) else document
            observed_change_id = self.check(
                write,
                new,
                application_id=current.application_id,
                current=current,
                caller=provenance.caller,
                may_have_unknown_overlays=action == "rollback",
            )
            with write.writing_once() as store:
                written = write_version(
                    store, new, frozenset({current.version}), observed_change_id
                )
            if written is None:
                raise StaleError
            return written

        with self._explained_name_conflict(configuration_id):
            written = None
            if not callable(document) and document.is_self_contained and is_ulid(configuration_id):
                with self._database.write_statement() as connection:
                    written = write_version(Repositories(connection), document, _versions(if_match))
            if written is None:
                # There is something to check, or a condition does not hold: reading tells which.
                written = optimistic_retry(
                    self._database, attempt, lock_configuration=configuration_id
                )
        return self._evicted(written)

    def check(
        self,
        write: WriteAttempt,
        document: ConfigurationDocument,
        *,
        application_id: str,
        current: Configuration | None,
        caller: str,
        may_have_unknown_overlays: bool = False,
    ) -> int | None:
        """Check a document that is to be written.

        Returns:
            The last change that the check has taken into account; ``None`` where it depends
            on nothing.

        Raises:
            InvalidError: it may not be written.
        """
        if document.is_self_contained:
            return None
        with write.reading() as store:
            environments = store.environments.all_of(application_id)
            served = {}
            if current is not None and current.schema != document.schema:
                # The others will serve the new version.
                staying = {e.name for e in environments if not e.auto_release}
                versions = [
                    version
                    for version in store.releases.served_of(current.id)
                    if version.environment in staying
                ]
                revisions = store.revisions.find_all(
                    [(v.configuration_id, v.version) for v in versions]
                )
                served = {v.environment: revisions[v.configuration_id, v.version] for v in versions}
        self._checks.check(
            document,
            current=None if current is None else current.document,
            environments=[environment.name for environment in environments],
            served=served,
            caller=caller,
            may_have_unknown_overlays=may_have_unknown_overlays,
            holds_write_lock=write.holds_write_lock,
        )
        return write.observed_change_id

    @contextmanager
    def _explained_name_conflict(
        self, configuration_id: str, application_id: str | None = None
    ) -> Iterator[None]:
        """Name the environment that serves another configuration under the name, and which."""
        try:
            yield
        except NameTakenInEnvironmentError as error:
            with self._database.autocommit() as connection:
                store = Repositories(connection)
                if application_id is None:
                    current = find_configuration(store, configuration_id)
                    application_id = current.application_id
                require_free_name(
                    store, application_id, error.name, normalize_ulid(configuration_id)
                )
            # What was in the way has just gone.
            message = "Another configuration was released under this name at the same time."
            raise StateError("name-served", message, pointer="/name") from None

    def _evicted(self, written: WrittenConfiguration) -> Configuration:
        configuration = written.configuration
        self._cache.evict(configuration.application_id, configuration.id, written.environments)
        return configuration


def _versions(if_match: EntityTags | None) -> frozenset[int] | None:
    """Return the versions that a condition allows; ``None`` for all of them."""
    if if_match is None or (if_match.is_any and if_match.excluded is None):
        return None
    if if_match.excluded is not None:
        # Which versions remain can't be listed: none does, and reading tells.
        return frozenset()
    # A tag that does not have the form of a version matches nothing.
    return frozenset(int(tag) for tag in if_match.strong if _VERSION.fullmatch(tag))
