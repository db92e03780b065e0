"""The versions of a configuration, and what differs between two of them, as frozen objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from configsvc_client._resources.parsing import json_object, moment, number, text, when_and_who
from configsvc_client._values.diff import Difference, Differences
from configsvc_client._values.frozen import freeze

__all__ = [
    "ConfigurationDiff",
    "DiffSide",
    "Revision",
    "Validation",
    "read_diff",
    "read_revision",
    "read_validation",
]


@dataclass(frozen=True, slots=True)
class Revision:
    """The whole of a configuration at one version; never changed, and never lost.

    Example:
        >>> client.configurations.revision(database, 2).message
        'more load'
    """

    configuration_id: str
    version: int
    """1, 2, 3, …"""
    application_id: str
    name: str
    comments: str | None
    config: Mapping[str, Any]
    """The values, read-only; ``copy.deepcopy`` gives a dict that can be changed."""
    overlays: Mapping[str, Mapping[str, Any]]
    """What is different in an environment, by its name: JSON Merge Patches over ``config``."""
    schema: Mapping[str, Any] | None
    """The JSON Schema (draft 2020-12) that the values meet in every environment."""
    digest: str
    """SHA-256 of the content, in hexadecimal digits."""
    author: str
    message: str | None
    """Why."""
    created_at: datetime
    """In UTC, and timezone-aware."""

    def __repr__(self) -> str:
        about = when_and_who(self.created_at, self.author, self.message)
        return f"<Revision {self.version} of {self.name!r}, {about}>"


@dataclass(frozen=True, slots=True)
class DiffSide:
    """One of the two things that are compared.

    Example:
        >>> print(client.configurations.diff(database, from_environment="prod").from_)
        version 2 in 'prod'
    """

    version: int | None
    """``None`` for a document that has none yet, and where there is nothing."""
    environment: str | None
    """What the values are resolved for; ``None`` where overlays are compared as they are."""

    def __str__(self) -> str:
        version = "no version" if self.version is None else f"version {self.version}"
        return version if self.environment is None else f"{version} in {self.environment!r}"


@dataclass(frozen=True, slots=True)
class ConfigurationDiff:
    """What differs between two versions, environments or documents of a configuration.

    Example:
        >>> client.configurations.diff(database, 1, 2)
        version 1 → version 2
        ~ /config/pool_size: 10 → 20
    """

    configuration_id: str
    from_: DiffSide
    to: DiffSide
    patch: Sequence[Mapping[str, Any]]
    """The operations of a JSON Patch (RFC 6902) that makes the one of the other."""
    changes: Differences
    """The same value by value, as :meth:`ConfigView.diff` has it."""

    def __repr__(self) -> str:
        return f"{self.from_} → {self.to}\n{self.changes!r}"


@dataclass(frozen=True, slots=True)
class Validation:
    """A document that could be written, and what it would be in each environment.

    Example:
        >>> checked = client.configurations.validate("billing", name="limits", config={"n": 1})
        >>> checked.environments["prod"]
        {'n': 1}
    """

    environments: Mapping[str, Mapping[str, Any]]
    """The values with the overlay of each environment."""

    def __repr__(self) -> str:
        return f"<Validation: valid in {', '.join(map(repr, self.environments))}>"


def read_revision(document: Mapping[str, Any]) -> Revision:
    """Return the revision that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    schema = document["schema"]
    return Revision(
        configuration_id=text(document["configuration_id"]),
        version=int(document["version"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        comments=document["comments"],
        config=json_object(document["config"]),
        overlays=json_object(document["overlays"]),
        schema=None if schema is None else json_object(schema),
        digest=text(document["digest"]),
        author=text(document["author"]),
        message=document["message"],
        created_at=moment(document["created_at"]),
    )


def read_diff(document: Mapping[str, Any]) -> ConfigurationDiff:
    """Return the differences that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    return ConfigurationDiff(
        configuration_id=text(document["configuration_id"]),
        from_=_side(document["from"]),
        to=_side(document["to"]),
        patch=tuple(json_object(operation) for operation in document["patch"]),
        changes=Differences(
            [
                Difference(
                    text(change["path"]),
                    freeze(change.get("old")),
                    freeze(change.get("new")),
                    text(change["kind"]),
                )
                for change in document["changes"]
            ]
        ),
    )


def read_validation(document: Mapping[str, Any]) -> Validation:
    """Return the outcome that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    return Validation(json_object(document["environments"]))


def _side(document: Mapping[str, Any]) -> DiffSide:
    environment = document["environment"]
    return DiffSide(number(document["version"]), None if environment is None else text(environment))
