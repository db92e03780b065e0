"""What several use cases look up, and refuse where it is not there or not allowed."""

from collections.abc import Sequence

from configsvc_server.domain.errors import (
    FieldError,
    InvalidError,
    NameServedError,
    NotFoundError,
    PreconditionFailedError,
    StateError,
)
from configsvc_server.domain.identifiers import is_ulid, normalize_ulid
from configsvc_server.domain.models import Configuration, Environment, Move, Pointer, Revision
from configsvc_server.repositories import Repositories

__all__ = [
    "find_application_id",
    "find_configuration",
    "find_environment",
    "find_revision",
    "require_free_name",
    "require_known",
    "require_unprotected",
    "require_version",
    "withdrawal",
]


def find_application_id(store: Repositories, key: str) -> str:
    """Return the id of the application with the id or the name ``key``.

    Raises:
        NotFoundError: there is none.
    """
    application_id = store.applications.identify(key)
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


def find_environment(
    store: Repositories,
    application_id: str,
    name: str,
    *,
    pointer: str,
    location: str = "body",
) -> Environment:
    """Return an environment that a member of a request names.

    Raises:
        InvalidError: there is none; says which there are.
    """
    environments = store.environments.all_of(application_id)
    for environment in environments:
        if environment.name == name:
            return environment
    names = ", ".join(environment.name for environment in environments)
    message = f"must be an environment of the application: {names}"
    raise InvalidError([FieldError(pointer, message, location)])


def find_revision(
    store: Repositories,
    configuration_id: str,
    version: int | None,
    *,
    pointer: str,
    location: str = "body",
) -> Revision:
    """Return a revision that a member of a request names, the newest one by default.

    Raises:
        InvalidError: there is none; says which there are.
    """
    revision = store.revisions.find(configuration_id, version)
    if revision is None:
        newest = store.revisions.newest_version(configuration_id)
        message = f"must be a version of this configuration: 1 to {newest}, not {version}"
        raise InvalidError([FieldError(pointer, message, location)])
    return revision


def require_known(store: Repositories, configuration_id: str) -> str:
    """Return the id of a configuration that there is, or was, as it is stored.

    Raises:
        NotFoundError: there never was one.
    """
    if is_ulid(configuration_id):
        known_id = normalize_ulid(configuration_id)
        if store.revisions.newest_version(known_id):
            return known_id
    raise NotFoundError("configuration", configuration_id)


def require_version(current: Configuration, if_version: frozenset[int] | None) -> None:
    """Check that a configuration is at a version that the caller expects.

    Raises:
        PreconditionFailedError: it is not.
    """
    if if_version is not None and current.version not in if_version:
        raise PreconditionFailedError(current_version=current.version)


def require_free_name(
    store: Repositories, application_id: str, name: str, configuration_id: str | None
) -> None:
    """Check that no environment to which a version goes at once serves another of its name.

    Raises:
        NameServedError: one does.
    """
    auto = [e.name for e in store.environments.all_of(application_id) if e.auto_release]
    for pointer in store.releases.served_as(application_id, auto, name):
        if pointer.configuration_id != configuration_id:
            raise NameServedError(
                pointer.environment,
                name,
                pointer.configuration_id,
                pointer.version,
                pointer="/name",
            )


def require_unprotected(
    store: Repositories, application_id: str, pointers: Sequence[Pointer]
) -> None:
    """Check that no protected environment serves what is to go.

    Raises:
        StateError: one does.
    """
    protected = {
        environment.name
        for environment in store.environments.all_of(application_id)
        if environment.protected
    }
    for pointer in pointers:
        if pointer.environment in protected:
            message = (
                f"The protected environment {pointer.environment!r} serves {pointer.name!r} "
                f"({pointer.configuration_id}, version {pointer.version}). Withdraw it there "
                "first, by a release of version null."
            )
            raise StateError("protected", message)


def withdrawal(pointer: Pointer) -> Move:
    """Return the move by which an environment ceases to serve a configuration."""
    return Move(
        pointer.application_id,
        pointer.environment,
        pointer.configuration_id,
        pointer.name,
        None,
        pointer.version,
    )
