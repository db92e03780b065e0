"""Ids, paths and ETags of resources that are given as an object, an id or a name."""

import re
from typing import Final

from configsvc_client._http.api import Api, segment
from configsvc_client._resources.models import Application, Configuration, Environment

__all__ = [
    "application_id",
    "application_path",
    "configuration_id",
    "configuration_path",
    "environment_name",
    "environment_path",
    "if_match",
    "is_ulid",
]

_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)

# As segments of a path the last two would lead to the parent.
_NO_SEGMENTS: Final = {"", ".", ".."}


def is_ulid(text: object) -> bool:
    """Return whether ``text`` has the shape of a ULID."""
    return isinstance(text, str) and _ULID.fullmatch(text) is not None


def application_path(api: Api, application: Application | str) -> str:
    """Return the path of an application given as an object, an id or a name.

    Raises:
        NotFoundError: a name that no path can have is looked up, and does not exist.
        ValueError: the name is empty.
    """
    if isinstance(application, str):
        return api.application_path(application)
    return f"/applications/{application.id}"


def application_id(api: Api, application: Application | str) -> str:
    """Return the id of an application given as an object, an id or a name.

    Raises:
        NotFoundError: there is no application of that name.
        ValueError: the name is empty.
    """
    if not isinstance(application, str):
        return application.id
    if is_ulid(application):
        # No name has this shape. It may be deleted, and still be in the history.
        return application
    response = api.call("GET", api.application_path(application))
    return api.read(response, lambda document: str(document["id"]))


def configuration_id(configuration: Configuration | str) -> str:
    """Return the id of a configuration given as an object or an id.

    Raises:
        ValueError: no configuration can have this id.
    """
    found = configuration if isinstance(configuration, str) else configuration.id
    if found in _NO_SEGMENTS:
        raise ValueError("The id of a configuration can't be empty, '.' or '..'.")
    return found


def configuration_path(configuration: Configuration | str) -> str:
    """Return the path of a configuration given as an object or an id.

    Raises:
        ValueError: no configuration can have this id.
    """
    return f"/configurations/{segment(configuration_id(configuration))}"


def environment_name(environment: Environment | str) -> str:
    """Return the name of an environment given as an object or a name.

    Raises:
        ValueError: no environment can have this name.
    """
    found = environment if isinstance(environment, str) else environment.name
    if found in _NO_SEGMENTS:
        raise ValueError("The name of an environment can't be empty, '.' or '..'.")
    return found


def environment_path(application_path: str, environment: Environment | str) -> str:
    """Return the path of an environment below that of its application.

    Raises:
        ValueError: no environment can have this name.
    """
    return f"{application_path}/environments/{segment(environment_name(environment))}"


def if_match(resource: Application | Environment | str) -> str | None:
    """Return the ETag that a write depends on; ``None`` for one by id or name.

    Raises:
        ValueError: the resource was read without its ETag, so that the write could not be
            refused if somebody was faster.
    """
    if isinstance(resource, str):
        return None
    if resource.etag is None:
        raise ValueError(
            f"{resource!r} has no ETag, so nobody can know whether it has changed: read it with"
            " get(), or give its id or name to write in any case."
        )
    return resource.etag
