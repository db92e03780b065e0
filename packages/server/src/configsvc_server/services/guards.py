"""Finders and guards: lookups and refusals that several use cases share."""

from collections.abc import Sequence

from configsvc_server.domain.access.grants import Access
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.errors import (
    FieldError,
    InvalidError,
    NameServedError,
    NotFoundError,
    PreconditionFailedError,
    StateError,
)
from configsvc_server.domain.identifiers import is_storable, is_ulid, normalize_ulid
from configsvc_server.domain.models import (
    ApplicationDetail,
    Configuration,
    Environment,
    ReleaseMove,
    Revision,
    ServedVersion,
)
from configsvc_server.repositories import Repositories

__all__ = [
    "find_application",
    "find_application_id",
    "find_configuration",
    "find_configuration_id",
    "find_configuration_owner",
    "find_environment",
    "find_environment_field",
    "find_revision_field",
    "require_free_name",
    "require_match",
    "require_unchanged",
    "require_unprotected",
    "unrelease_move",
]


def find_application(store: Repositories, key: str) -> ApplicationDetail:
    """Return the application with the id or the name ``key``.

    Raises:
        NotFoundError: there is none.
    """
    detail = store.applications.find(key)
    if detail is None:
        raise NotFoundError("application", key)
    return detail


def find_application_id(store: Repositories, key: str, *, lock: bool = False) -> str:
    """Return the id of the application with the id or the name ``key``.

    With ``lock``, what depends on its state has to be read after the write lock is acquired: its
    entity tag is the id of its last change, which is no part of the locked row.

    Raises:
        NotFoundError: there is none.
    """
    application_id = store.applications.find_id(key, lock=lock)
    if application_id is None:
        raise NotFoundError("application", key)
    return application_id


def find_configuration(
    store: Repositories, configuration_id: str, *, lock: bool = False
) -> Configuration:
    """Return a configuration.

    Raises:
        NotFoundError: there is none.
    """
    configuration = None
    if is_ulid(configuration_id):
        configuration = store.configurations.find(normalize_ulid(configuration_id), lock=lock)
    if configuration is None:
        raise NotFoundError("configuration", configuration_id)
    return configuration


def find_configuration_id(store: Repositories, configuration_id: str) -> str:
    """Return the id, as it is stored, of a configuration that exists or was deleted.

    Raises:
        NotFoundError: there never was one.
    """
    if is_ulid(configuration_id):
        stored_id = normalize_ulid(configuration_id)
        if store.revisions.newest_version(stored_id):
            return stored_id
    raise NotFoundError("configuration", configuration_id)


def find_configuration_owner(store: Repositories, configuration_id: str) -> tuple[str, str]:
    """Return the id of a configuration that exists or was deleted, and that of its application.

    Raises:
        NotFoundError: there never was one.
    """
    if is_ulid(configuration_id):
        stored_id = normalize_ulid(configuration_id)
        newest = store.revisions.newest(stored_id)
        if newest is not None:
            return stored_id, newest[1]
    raise NotFoundError("configuration", configuration_id)


def find_environment(store: Repositories, application_id: str, name: str) -> Environment:
    """Return an environment.

    Raises:
        NotFoundError: there is none.
    """
    environment = store.environments.find(application_id, name) if is_storable(name) else None
    if environment is None:
        raise NotFoundError("environment", name)
    return environment


def find_environment_field(
    store: Repositories, application_id: str, name: str, *, pointer: str, access: Access
) -> Environment:
    """Return the environment that a field of the input names.

    Raises:
        InvalidError: there is none that ``access`` lets read; the message lists those.
    """
    readable = access.readable_environments(application_id)
    environments = [
        environment
        for environment in store.environments.all_of(application_id)
        if readable is None or environment.name in readable
    ]
    for environment in environments:
        if environment.name == name:
            return environment
    names = ", ".join(environment.name for environment in environments)
    message = f"must be an environment of the application: {names}"
    raise InvalidError([FieldError(pointer, message)])


def find_revision_field(
    store: Repositories, configuration_id: str, version: int | None, *, pointer: str
) -> Revision:
    """Return the revision that a field of the input names, the newest one by default.

    Raises:
        InvalidError: there is none; the message says which versions exist.
    """
    revision = store.revisions.find(configuration_id, version)
    if revision is None:
        newest = store.revisions.newest_version(configuration_id)
        message = f"must be a version of this configuration: 1 to {newest}, not {version}"
        raise InvalidError([FieldError(pointer, message)])
    return revision


def require_match(
    if_match: EntityTags | None, etag: str, *, current_version: int | None = None
) -> None:
    """Check that a resource still is what the caller has read.

    Args:
        if_match: the tags that the resource may have; ``None`` for any state of it.
        etag: its tag now.
        current_version: its version now, if it has versions.

    Raises:
        PreconditionFailedError: it is not.
    """
    if if_match is not None and not if_match.matches_strongly(etag):
        raise PreconditionFailedError(
            etag, current_version=current_version, is_excluded=if_match.excludes(etag)
        )


def require_unchanged(field: str, given: str | None, current: str, *, why: str = "") -> None:
    """Check that a member that cannot change, if it was given, is what it was.

    Args:
        field: the name of the member.
        given: what was given; ``None`` for nothing.
        current: what it is.
        why: the reason why it cannot change, if that is not plain.

    Raises:
        InvalidError: it is another one.
    """
    if given is not None and given != current:
        reason = f"{why}, so it can't change" if why else "it can't change"
        raise InvalidError([FieldError(f"/{field}", f"must be {current!r}: {reason}")])


def require_free_name(
    store: Repositories, application_id: str, name: str, configuration_id: str | None
) -> None:
    """Check that no environment with ``auto_release`` serves another configuration of a name.

    Raises:
        NameServedError: one does.
    """
    auto = [e.name for e in store.environments.all_of(application_id) if e.auto_release]
    for served in store.releases.served_under_name(application_id, auto, name):
        if served.configuration_id != configuration_id:
            raise NameServedError(
                served.environment,
                name,
                served.configuration_id,
                served.version,
                pointer="/name",
            )


def require_unprotected(
    store: Repositories, application_id: str, served: Sequence[ServedVersion]
) -> None:
    """Check that no protected environment serves what is to be deleted.

    Raises:
        StateError: one does.
    """
    protected = {
        environment.name
        for environment in store.environments.all_of(application_id)
        if environment.protected
    }
    for version in served:
        if version.environment in protected:
            message = (
                f"The protected environment {version.environment!r} serves {version.name!r} "
                f"({version.configuration_id}, version {version.version}). Withdraw it there "
                "first, by a release of version null."
            )
            raise StateError("protected", message)


def unrelease_move(served: ServedVersion) -> ReleaseMove:
    """Return the move by which an environment stops serving a configuration."""
    return ReleaseMove(
        served.application_id,
        served.environment,
        served.configuration_id,
        served.name,
        None,
        served.version,
    )
