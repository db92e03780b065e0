"""Readers of models from JSON.

Each raises ``KeyError``, ``TypeError`` or ``ValueError`` where a document is not what the API
promises; :meth:`Api.read` makes a ``ServerError`` of it.
"""

from collections.abc import Mapping
from typing import Any

from configsvc_client._resources.models import (
    Application,
    AuditChange,
    Configuration,
    ConfigurationDiff,
    DiffSide,
    Environment,
    Promotion,
    Release,
    Revision,
    Validation,
)
from configsvc_client._resources.parsing import json_object, number, text, timestamp
from configsvc_client._values.diff import Difference, Differences
from configsvc_client._values.frozen import freeze

__all__ = [
    "read_application",
    "read_change",
    "read_configuration",
    "read_diff",
    "read_environment",
    "read_promotion",
    "read_release",
    "read_revision",
    "read_validation",
]


def read_application(document: Mapping[str, Any], etag: str | None = None) -> Application:
    """Return the application that ``document`` describes.

    Args:
        document: a JSON object.
        etag: the ETag of the response; without it, the one in ``document``, as lists have it.
    """
    ids = document.get("configuration_ids")
    return Application(
        id=text(document["id"]),
        name=text(document["name"]),
        comments=document.get("comments"),
        created_at=timestamp(document["created_at"]),
        updated_at=timestamp(document["updated_at"]),
        configuration_ids=None if ids is None else tuple(ids),
        etag=document.get("etag") if etag is None else etag,
    )


def read_configuration(document: Mapping[str, Any]) -> Configuration:
    """Return the configuration that ``document`` describes."""
    schema = document["schema"]
    return Configuration(
        id=text(document["id"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        comments=document.get("comments"),
        config=json_object(document["config"]),
        version=int(document["version"]),
        created_at=timestamp(document["created_at"]),
        updated_at=timestamp(document["updated_at"]),
        updated_by=text(document["updated_by"]),
        overlays=json_object(document["overlays"]),
        schema=None if schema is None else json_object(schema),
    )


def read_environment(document: Mapping[str, Any], etag: str | None = None) -> Environment:
    """Return the environment that ``document`` describes.

    Args:
        document: a JSON object.
        etag: the ETag of the response; without it, the one in ``document``, as lists have it.
    """
    return Environment(
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        position=int(document["position"]),
        auto_release=bool(document["auto_release"]),
        protected=bool(document["protected"]),
        created_at=timestamp(document["created_at"]),
        updated_at=timestamp(document["updated_at"]),
        etag=document.get("etag") if etag is None else etag,
    )


def read_revision(document: Mapping[str, Any]) -> Revision:
    """Return the revision that ``document`` describes."""
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
        created_at=timestamp(document["created_at"]),
    )


def read_diff(document: Mapping[str, Any]) -> ConfigurationDiff:
    """Return the differences that ``document`` describes."""
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
    """Return the outcome of a validation that ``document`` describes."""
    return Validation(json_object(document["environments"]))


def read_release(document: Mapping[str, Any]) -> Release:
    """Return the release that ``document`` describes."""
    return Release(
        id=int(document["id"]),
        configuration_id=text(document["configuration_id"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        environment=text(document["environment"]),
        version=number(document["version"]),
        previous_version=number(document["previous_version"]),
        author=text(document["author"]),
        message=document["message"],
        created_at=timestamp(document["created_at"]),
    )


def read_promotion(document: Mapping[str, Any]) -> Promotion:
    """Return the promotion that ``document`` describes."""
    return Promotion(
        from_=text(document["from"]),
        to=text(document["to"]),
        released=tuple(read_release(item) for item in document["released"]),
        unchanged=int(document["unchanged"]),
    )


def read_change(document: Mapping[str, Any]) -> AuditChange:
    """Return the change of the audit trail that ``document`` describes."""
    application_id, details = document["application_id"], document.get("details")
    return AuditChange(
        id=int(document["id"]),
        action=text(document["action"]),
        entity=text(document["entity"]),
        application_id=None if application_id is None else text(application_id),
        configuration_id=document["configuration_id"],
        name=text(document["name"]),
        previous_name=document["previous_name"],
        version=number(document["version"]),
        previous_version=number(document["previous_version"]),
        source_version=number(document["source_version"]),
        environments=tuple(text(name) for name in document["environments"]),
        actor=text(document["actor"]),
        request_id=document["request_id"],
        message=document["message"],
        created_at=timestamp(document["created_at"]),
        details=None if details is None else json_object(details),
    )


def _side(document: Mapping[str, Any]) -> DiffSide:
    environment = document["environment"]
    return DiffSide(number(document["version"]), None if environment is None else text(environment))
