"""Release use cases: release, unrelease, rollback and promotion."""

from collections.abc import Sequence
from dataclasses import dataclass

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.errors import FieldError, InvalidError, NotFoundError, StateError
from configsvc_server.domain.models import (
    Action,
    Change,
    Configuration,
    Environment,
    Provenance,
    Release,
    ReleaseMove,
    ServedVersion,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import (
    require_application,
    require_environment,
)
from configsvc_server.services.document_checks import DocumentChecks
from configsvc_server.services.guards import (
    find_application_id,
    find_configuration,
    find_configuration_owner,
    find_environment_field,
    find_revision_field,
    require_match,
    unrelease_move,
)
from configsvc_server.services.write_attempts import WriteAttempt, optimistic_retry

__all__ = ["Promotion", "ReleaseService"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """Outcome of a promotion."""

    source: str
    """The environment whose versions were taken."""
    target: str
    released: Sequence[Release]
    unchanged: int
    """Configurations that the target served at the same version before."""


class ReleaseService:
    """Changes what environments serve, and lists how that was changed."""

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

    def release(
        self,
        configuration_id: str,
        environment: str,
        *,
        version: int | None,
        provenance: Provenance,
        if_match: EntityTags | None = None,
    ) -> tuple[Release, bool]:
        """Make an environment serve a version of a configuration.

        Args:
            configuration_id: the configuration.
            environment: name of the environment.
            version: the version; ``None`` for the newest.
            provenance: author, request and message.
            if_match: the states that the configuration may be in; ``None`` for any.

        Returns:
            The release, and whether it is new: it is not where that version was served already.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: the configuration is at another version.
            InvalidError: there is no such environment or version, or it breaks its schema there.
            StateError: the environment serves another configuration under its name.
        """
        passed: set[tuple[str, int]] = set()

        def attempt(write: WriteAttempt) -> tuple[Release, bool]:
            with write.reading() as store:
                configuration, _ = _find_target(
                    store, provenance.principal, configuration_id, environment, if_match
                )
                _require_readable(store, provenance.principal, configuration, version)
                revision = find_revision_field(store, configuration.id, version, pointer="/version")
                current = store.releases.current(configuration.id, environment)
            if current is not None and current.version == revision.version:
                return current, False
            self._checks.check_release(
                [revision],
                environment,
                pointer="/version",
                passed=passed,
                caller=provenance.caller,
                holds_write_lock=write.holds_write_lock,
            )
            move = ReleaseMove(
                configuration.application_id,
                environment,
                configuration.id,
                revision.name,
                revision.version,
                current.version if current else None,
            )
            return self._release(write, move, "release", provenance), True

        release, is_new = optimistic_retry(self._database, attempt)
        if is_new:
            self._evict(release)
        return release, is_new

    def unrelease(
        self,
        configuration_id: str,
        environment: str,
        *,
        provenance: Provenance,
        if_match: EntityTags | None = None,
    ) -> Release:
        """Make an environment stop serving a configuration.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: the configuration is at another version.
            InvalidError: there is no such environment.
            StateError: it does not serve it.
        """

        def attempt(write: WriteAttempt) -> Release:
            with write.reading() as store:
                configuration, _ = _find_target(
                    store, provenance.principal, configuration_id, environment, if_match
                )
                served = store.releases.served_of(configuration.id)
            for version in served:
                if version.environment == environment:
                    move = unrelease_move(version)
                    return self._release(write, move, "withdraw", provenance)
            message = f"The environment {environment!r} does not serve this configuration."
            raise StateError("not-served", message, pointer="/environment")

        release = optimistic_retry(self._database, attempt)
        self._evict(release)
        return release

    def roll_back(
        self,
        configuration_id: str,
        environment: str,
        *,
        provenance: Provenance,
        if_match: EntityTags | None = None,
    ) -> Release:
        """Make an environment serve again what it did before its current release.

        Done again, it goes one release further back. What was served once is not checked
        again: taking a change back must not fail.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: the configuration is at another version.
            InvalidError: there is no such environment.
            StateError: there is nothing to go back to.
        """

        def attempt(write: WriteAttempt) -> Release:
            with write.reading() as store:
                configuration, found = _find_target(
                    store, provenance.principal, configuration_id, environment, if_match
                )
                latest = store.releases.latest(found, configuration.id)
                target = None if latest is None else store.releases.previous(found, latest)
            if latest is None or target is None:
                message = (
                    f"The environment {environment!r} served nothing before its first release. "
                    "A release of version null withdraws that."
                )
                raise StateError("nothing-before", message, pointer="/environment")
            move = ReleaseMove(
                configuration.application_id,
                environment,
                configuration.id,
                target.name,
                target.version,
                latest.version,
                rolls_back_to=target.id,
            )
            return self._release(write, move, "rollback", provenance)

        release = optimistic_retry(self._database, attempt)
        self._evict(release)
        return release

    def promote(
        self, application: str, *, source: str, target: str, provenance: Provenance
    ) -> Promotion:
        """Release in one environment what another serves, all or nothing.

        What only the target serves stays.

        Args:
            application: id or name of the application.
            source: name of the environment to take versions from.
            target: name of the environment to release them in.
            provenance: author, request and message.

        Raises:
            NotFoundError: there is no such application.
            InvalidError: there is no such environment, or a version breaks its schema there.
            StateError: two configurations would have one name, or the target would serve more
                than fits into one snapshot.
        """
        passed: set[tuple[str, int]] = set()

        def attempt(write: WriteAttempt) -> tuple[str, Promotion]:
            with write.reading() as store:
                application_id = find_application_id(store, application)
                principal, access = provenance.principal, provenance.principal.access
                require_application(
                    principal, Permission.READ_APPLICATION, application_id, application
                )
                find_environment_field(
                    store, application_id, source, pointer="/from", access=access
                )
                find_environment_field(store, application_id, target, pointer="/to", access=access)
                require_environment(
                    principal, Permission.RELEASE, application_id, target, key=application
                )
                wanted = store.releases.served_in_environment(application_id, source)
                moves = _promotion_moves(
                    wanted, store.releases.served_in_environment(application_id, target), target
                )
                revisions = store.revisions.find_all(
                    [_key(move) for move in moves], only_with_schema=True
                )
            self._checks.check_release(
                [revisions[key] for key in map(_key, moves) if key in revisions],
                target,
                pointer="/to",
                passed=passed,
                caller=provenance.caller,
                holds_write_lock=write.holds_write_lock,
            )
            released: Sequence[Release] = ()
            if moves:
                with write.writing() as store:
                    timestamp = store.changes.acquire_write_lock(
                        observed_change_id=write.observed_change_id, application_id=application_id
                    )
                    released = store.releases.release(moves, provenance, timestamp=timestamp)
                    store.changes.append(
                        [_change("promote", release, provenance) for release in released],
                        timestamp=timestamp,
                    )
            unchanged = len(wanted) - len(moves)
            return application_id, Promotion(source, target, released, unchanged)

        application_id, promotion = optimistic_retry(self._database, attempt)
        if promotion.released:
            self._cache.evict_snapshots(application_id, (target,))
        return promotion

    def list(
        self,
        principal: Principal,
        configuration_id: str,
        request: PageRequest,
        *,
        environment: str | None = None,
        only_current: bool = False,
    ) -> Page[Release]:
        """Return one page of the releases of a configuration, also of a deleted one.

        Args:
            principal: who asks; only those to environments that it reads are shown.
            configuration_id: the configuration.
            request: which part, in which order.
            environment: only those to this environment.
            only_current: only those that made environments serve what they serve now.

        Raises:
            NotFoundError: there never was such a configuration.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            stored_id, application_id = find_configuration_owner(store, configuration_id)
            readable = principal.access.readable_environments(application_id)
            if not _is_known_to(store, principal, stored_id, application_id):
                raise NotFoundError("configuration", configuration_id)
            return store.releases.page(
                stored_id,
                request,
                environment=environment,
                environments=readable,
                only_current=only_current,
            )

    @staticmethod
    def _release(
        write: WriteAttempt, move: ReleaseMove, action: Action, provenance: Provenance
    ) -> Release:
        with write.writing() as store:
            timestamp = store.changes.acquire_write_lock(
                observed_change_id=write.observed_change_id,
                application_id=move.application_id,
                configuration_id=move.configuration_id,
            )
            (release,) = store.releases.release([move], provenance, timestamp=timestamp)
            store.changes.append([_change(action, release, provenance)], timestamp=timestamp)
        return release

    def _evict(self, release: Release) -> None:
        self._cache.evict_snapshots(release.application_id, (release.environment,))


def _find_target(
    store: Repositories,
    principal: Principal,
    configuration_id: str,
    environment: str,
    if_match: EntityTags | None,
) -> tuple[Configuration, Environment]:
    """Return what is to be released, and the environment to release it to."""
    configuration = find_configuration(store, configuration_id)
    application_id = configuration.application_id
    if not _is_known_to(store, principal, configuration.id, application_id):
        raise NotFoundError("configuration", configuration_id)
    found = find_environment_field(
        store, application_id, environment, pointer="/environment", access=principal.access
    )
    require_environment(principal, Permission.RELEASE, application_id, environment)
    if if_match is not None:
        # Which version is the newest is for those who may read it.
        require_application(
            principal, Permission.READ_CONFIGURATIONS, application_id, application_id
        )
    require_match(if_match, configuration.etag, current_version=configuration.version)
    return configuration, found


def _is_known_to(
    store: Repositories,
    principal: Principal,
    configuration_id: str,
    application_id: str,
    *,
    version: int | None = None,
) -> bool:
    """Return whether a principal may know a configuration, or a version of it.

    Who reads some environments alone knows what those serve or have served.
    """
    readable = principal.access.readable_environments(application_id)
    return readable is None or store.releases.is_known_in(
        configuration_id, application_id, readable, version=version
    )


def _require_readable(
    store: Repositories, principal: Principal, configuration: Configuration, version: int | None
) -> None:
    """Check that a principal may read the version that it is about to release.

    Raises:
        InvalidError: it may not.
    """
    wanted = configuration.version if version is None else version
    if not _is_known_to(
        store, principal, configuration.id, configuration.application_id, version=wanted
    ):
        message = "must be a version that an environment serves, or has served, that you may read"
        raise InvalidError([FieldError("/version", message)])


def _promotion_moves(
    wanted: Sequence[ServedVersion], present: Sequence[ServedVersion], target: str
) -> list[ReleaseMove]:
    """Return the moves that make ``target`` serve what is wanted and not present there."""
    versions = {served.configuration_id: served.version for served in present}
    return [
        ReleaseMove(
            served.application_id,
            target,
            served.configuration_id,
            served.name,
            served.version,
            versions.get(served.configuration_id),
        )
        for served in wanted
        if versions.get(served.configuration_id) != served.version
    ]


def _key(move: ReleaseMove) -> tuple[str, int]:
    assert move.version is not None  # noqa: S101 - a promotion releases versions
    return move.configuration_id, move.version


def _change(action: Action, release: Release, provenance: Provenance) -> Change:
    return Change(
        action,
        "release",
        release.application_id,
        release.configuration_id,
        release.name,
        release.version,
        provenance,
        environments=(release.environment,),
        previous_version=release.previous_version,
    )
