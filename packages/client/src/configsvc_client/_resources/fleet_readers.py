"""Readers of the models of the fleet from JSON, which raise on nonsense, as :mod:`readers` do."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from configsvc_client._resources.fleet_models import (
    Convergence,
    Instance,
    PastInstance,
    Rejection,
)
from configsvc_client._resources.parsing import text, timestamp
from configsvc_client._values.snapshot_documents import read_snapshot

__all__ = ["read_convergence", "read_instance", "read_past_instance"]


def read_instance(document: Mapping[str, Any], application: str, environment: str) -> Instance:
    """Return the instance that ``document`` describes, of an environment of an application."""
    return Instance(
        id=text(document["id"]),
        application=application,
        environment=environment,
        service=_text(document["service"]),
        version=_text(document["version"]),
        sdk=_text(document["sdk"]),
        host=_text(document["host"]),
        processes=int(document["processes"]),
        serves=_text(document["serves"]),
        state=text(document["state"]),
        rejections=_rejections(document),
        first_seen_at=timestamp(document["first_seen_at"]),
        last_seen_at=timestamp(document["last_seen_at"]),
        since=_time(document["since"]),
        address=_text(document["address"]),
        principal=_text(document["principal"]),
    )


def read_past_instance(document: Mapping[str, Any]) -> PastInstance:
    """Return the instance as it was that ``document`` describes."""
    serves, snapshot = _text(document["serves"]), document["snapshot"]
    if snapshot is not None:
        body = json.dumps(snapshot, ensure_ascii=False, separators=(",", ":"))
        snapshot = read_snapshot(body.encode("utf-8", "surrogatepass"), f'"{serves}"')
    return PastInstance(
        id=text(document["id"]),
        at=timestamp(document["at"]),
        serves=serves,
        since=_time(document["since"]),
        rejections=_rejections(document),
        gone=bool(document["gone"]),
        snapshot=snapshot,
    )


def read_convergence(document: Mapping[str, Any]) -> Convergence:
    """Return the convergence that ``document`` describes."""
    return Convergence(
        version=text(document["version"]),
        state=text(document["state"]),
        **{
            name: int(document[name])
            for name in ("instances", "current", "behind", "rejecting", "gone")
        },
        rejections=_rejections(document),
    )


def _rejections(document: Mapping[str, Any]) -> tuple[Rejection, ...]:
    return tuple(
        Rejection(
            configuration=_text(item["configuration"]),
            pointer=text(item["pointer"]),
            message=text(item["message"]),
            instances=int(item.get("instances", 1)),
        )
        for item in document["rejections"]
    )


def _text(value: object) -> str | None:
    return None if value is None else text(value)


def _time(value: object) -> datetime | None:
    return None if value is None else timestamp(value)
