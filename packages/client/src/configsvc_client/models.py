"""What the server keeps, as frozen objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from configsvc_client.frozen import freeze

__all__ = ["Application", "Configuration", "read_application", "read_configuration"]


@dataclass(frozen=True, slots=True)
class Application:
    """A group of configurations that one program reads together.

    Example:
        >>> client.applications.get("billing").created_at.year
        2026
    """

    id: str
    """A ULID."""
    name: str
    comments: str | None
    created_at: datetime
    """In UTC, and timezone-aware."""
    updated_at: datetime
    """In UTC, and timezone-aware."""
    configuration_ids: tuple[str, ...] | None = None
    """Oldest first; ``None`` on items of a list, which don't have it."""
    etag: str | None = None
    """Names this content for ``If-Match``; ``None`` on items of a list."""

    def __repr__(self) -> str:
        count = self.configuration_ids
        held = (
            "" if count is None else f", {len(count)} configuration{'' if len(count) == 1 else 's'}"
        )
        return f"<Application {self.name!r} {self.id}{held}>"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A named JSON object of one application, at the version that was read.

    Example:
        >>> configuration = client.configurations.find("billing", "database")
        >>> configuration.config["pool_size"], configuration.version
        (10, 3)
    """

    id: str
    """A ULID."""
    application_id: str
    name: str
    comments: str | None
    config: Mapping[str, Any]
    """The values, read-only; ``copy.deepcopy`` gives a dict that can be changed."""
    version: int
    """1, 2, 3, …: one more with every write."""
    created_at: datetime
    """In UTC, and timezone-aware."""
    updated_at: datetime
    """In UTC, and timezone-aware."""
    updated_by: str
    """Who made this version."""

    def __repr__(self) -> str:
        return (
            f"<Configuration {self.name!r} {self.id} version {self.version},"
            f" {self.updated_at:%Y-%m-%d %H:%M} UTC by {self.updated_by}>"
        )


def read_application(document: Mapping[str, Any], etag: str | None = None) -> Application:
    """Return the application that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    ids = document.get("configuration_ids")
    return Application(
        id=_text(document["id"]),
        name=_text(document["name"]),
        comments=document.get("comments"),
        created_at=_moment(document["created_at"]),
        updated_at=_moment(document["updated_at"]),
        configuration_ids=None if ids is None else tuple(ids),
        etag=etag,
    )


def read_configuration(document: Mapping[str, Any]) -> Configuration:
    """Return the configuration that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    config = document["config"]
    if not isinstance(config, dict):
        raise TypeError("config is no object")
    return Configuration(
        id=_text(document["id"]),
        application_id=_text(document["application_id"]),
        name=_text(document["name"]),
        comments=document.get("comments"),
        config=freeze(config),
        version=int(document["version"]),
        created_at=_moment(document["created_at"]),
        updated_at=_moment(document["updated_at"]),
        updated_by=_text(document["updated_by"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no string")
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return moment.astimezone(UTC)
