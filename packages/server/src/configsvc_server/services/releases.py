"""What environments serve: releases, their undoing, and promotion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from configsvc_server.cache.responses import Reads
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import StateError
from configsvc_server.domain.models import (
    Action,
    Change,
    Configuration,
    Environment,
    Move,
    Provenance,
    Release,
)
from configsvc_server.domain.pages import NumberedPage, NumberedRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.document_checks import DocumentChecks
from configsvc_server.services.guards import (
    find_application_id,
    find_configuration,
    find_environment,
    find_revision,
    require_known,
    require_version,
    withdrawal,
)
from configsvc_server.services.write_attempts import Attempt, take_turns

__all__ = ["Promotion", "ReleaseService"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion has done."""

    source: str
    """The environment whose versions were taken."""
    target: str
    released: Sequence[Release]
    unchanged: int
    """Configurations that the target served at the same version before."""


class ReleaseService:
    """Moves the pointers of environments, and tells how they were moved."""

    def __init__(self, database: Database, reads: Reads, *, checks: DocumentChecks) -> None:
        """Serve releases.

        Args:
            database: where they are.
            reads: what is in memory; evicted by every write before it returns.
            checks: what configurations have to pass before an environment serves them.
        """
        self._database = database
        self._reads = reads
        self._checks = checks

    def release(
        self,
        configuration_id: str,
        environment: str,
        *,
        version: int | None,
        provenance: Provenance,
        if_version: frozenset[int] | None = None,
    ) -> tuple[Release, bool]:
        """Make an environment serve a version of a configuration.

        Args:
            configuration_id: the configuration.
            environment: name of the environment.
            version: the version; ``None`` for the newest.
            provenance: who does it and why.
            if_version: the versions that the configuration may be at; ``None`` for any.

        Returns:
            The release, and whether it is new: it is not where that version is served already.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: the configuration is at another version.
            InvalidError: there is no such environment or version, or it breaks its schema there.
            StateError: the environment serves another configuration under its name.
        """
        passed: set[tuple[str, int]] = set()

        def attempt(turn: Attempt) -> tuple[Release, bool]:
            with turn.reading() as store:
                configuration, _ = _locate(store, configuration_id, environment, if_version)
                revision = find_revision(store, configuration.id, version, pointer="/version")
                present = _present(store, configuration.id, environment)
            if present is not None and present.version == revision.version:
                return present, False
            self._checks.check_release(
                [revision],
                environment,
                pointer_to="/version",
                passed=passed,
                is_in_turn=turn.is_in_turn,
            )
            move = Move(
                configuration.application_id,
                environment,
                configuration.id,
                revision.name,
                revision.version,
                present.version if present else None,
            )
            return self._move(turn, configuration, move, "release", provenance), True

        release, is_new = take_turns(self._database, attempt)
        if is_new:
            self._changed(release)
        return release, is_new

    def withdraw(
        self,
        configuration_id: str,
        environment: str,
        *,
        provenance: Provenance,
        if_version: frozenset[int] | None = None,
    ) -> Release:
        """Make an environment cease to serve a configuration.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: the configuration is at another version.
            InvalidError: there is no such environment.
            StateError: it does not serve it.
        """

        def attempt(turn: Attempt) -> Release:
            with turn.reading() as store:
                configuration, _ = _locate(store, configuration_id, environment, if_version)
                pointers = store.releases.served_of(configuration.id)
            for pointer in pointers:
                if pointer.environment == environment:
                    move = withdrawal(pointer)
                    return self._move(turn, configuration, move, "withdraw", provenance)
            message = f"The environment {environment!r} does not serve this configuration."
            raise StateError("not-served", message, pointer="/environment")

        release = take_turns(self._database, attempt)
        self._changed(release)
        return release

    def roll_back(
        self,
        configuration_id: str,
        environment: str,
        *,
        provenance: Provenance,
        if_version: frozenset[int] | None = None,
    ) -> Release:
        """Make an environment serve again what it did before its present release.

        Done again, it goes one release further back. What was served once is not checked
        again: taking a change back must not fail.

        Raises:
            NotFoundError: there is no such configuration.
            PreconditionFailedError: the configuration is at another version.
            InvalidError: there is no such environment.
            StateError: there is nothing to go back to.
        """

        def attempt(turn: Attempt) -> Release:
            with turn.reading() as store:
                configuration, place = _locate(store, configuration_id, environment, if_version)
                latest = store.releases.latest(place, configuration.id)
                target = None if latest is None else store.releases.before(place, latest)
            if latest is None or target is None:
                message = (
                    f"The environment {environment!r} served nothing before its first release. "
                    "A release of version null withdraws that."
                )
                raise StateError("nothing-before", message, pointer="/environment")
            move = Move(
                configuration.application_id,
                environment,
                configuration.id,
                target.name,
                target.version,
                latest.version,
                restores=target.id,
            )
            return self._move(turn, configuration, move, "rollback", provenance)

        release = take_turns(self._database, attempt)
        self._changed(release)
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
            provenance: who does it and why.

        Raises:
            NotFoundError: there is no such application.
            InvalidError: there is no such environment, or a version breaks its schema there.
            StateError: two configurations would have one name.
        """
        passed: set[tuple[str, int]] = set()

        def attempt(turn: Attempt) -> tuple[str, Promotion]:
            with turn.reading() as store:
                application_id = find_application_id(store, application)
                find_environment(store, application_id, source, pointer="/from")
                find_environment(store, application_id, target, pointer="/to")
                wanted = store.releases.served_by(application_id, source)
                present = {
                    pointer.configuration_id: pointer.version
                    for pointer in store.releases.served_by(application_id, target)
                }
                moving = [p for p in wanted if present.get(p.configuration_id) != p.version]
                keys = [(p.configuration_id, p.version) for p in moving]
                revisions = store.revisions.find_all(keys)
            self._checks.check_release(
                [revisions[key] for key in keys],
                target,
                pointer_to="/to",
                passed=passed,
                is_in_turn=turn.is_in_turn,
            )
            unchanged = len(wanted) - len(moving)
            if not moving:
                return application_id, Promotion(source, target, [], unchanged)
            moves = [
                Move(
                    application_id,
                    target,
                    pointer.configuration_id,
                    pointer.name,
                    pointer.version,
                    present.get(pointer.configuration_id),
                )
                for pointer in moving
            ]
            with turn.writing() as store:
                moment = store.changes.take_turn(seen=turn.seen, application_id=application_id)
                released = store.releases.move(moves, provenance, moment=moment)
                store.changes.append(
                    [_change("promote", release, provenance) for release in released],
                    moment=moment,
                )
            return application_id, Promotion(source, target, released, unchanged)

        application_id, promotion = take_turns(self._database, attempt)
        for release in promotion.released:
            self._reads.changed(application_id, release.configuration_id, (target,))
        return promotion

    def history(
        self, configuration_id: str, request: NumberedRequest, *, environment: str | None = None
    ) -> NumberedPage[Release]:
        """Return releases of a configuration, also of one that has been deleted since.

        Raises:
            NotFoundError: there never was such a configuration.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            known_id = require_known(store, configuration_id)
            page = store.releases.page(known_id, request, environment=environment)
            return replace(page, total=store.releases.count(known_id, environment=environment))

    def current(self, configuration_id: str, *, environment: str | None = None) -> list[Release]:
        """Return the releases that made environments serve what they serve now.

        Raises:
            NotFoundError: there never was such a configuration.
        """
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            releases = store.releases.current_of(require_known(store, configuration_id))
        return [release for release in releases if environment in {None, release.environment}]

    def _move(
        self,
        turn: Attempt,
        configuration: Configuration,
        move: Move,
        action: Action,
        provenance: Provenance,
    ) -> Release:
        with turn.writing() as store:
            moment = store.changes.take_turn(
                seen=turn.seen,
                application_id=configuration.application_id,
                configuration_id=configuration.id,
            )
            (release,) = store.releases.move([move], provenance, moment=moment)
            store.changes.append([_change(action, release, provenance)], moment=moment)
        return release

    def _changed(self, release: Release) -> None:
        self._reads.changed(
            release.application_id, release.configuration_id, (release.environment,)
        )


def _locate(
    store: Repositories,
    configuration_id: str,
    environment: str,
    if_version: frozenset[int] | None,
) -> tuple[Configuration, Environment]:
    """Return what is to be released and where to, both as they are now."""
    configuration = find_configuration(store, configuration_id)
    require_version(configuration, if_version)
    place = find_environment(
        store, configuration.application_id, environment, pointer="/environment"
    )
    return configuration, place


def _present(store: Repositories, configuration_id: str, environment: str) -> Release | None:
    for release in store.releases.current_of(configuration_id):
        if release.environment == environment:
            return release
    return None


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
