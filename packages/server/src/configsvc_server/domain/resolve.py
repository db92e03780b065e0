"""What a configuration is in one environment (design, section 2)."""

from collections.abc import Iterable
from typing import cast

from configsvc_server.domain.merge import merge_patch
from configsvc_server.domain.models import ConfigurationDocument
from configsvc_server.domain.strict_json import JsonObject

__all__ = ["resolve", "resolve_all"]


def resolve(document: ConfigurationDocument, environment: str) -> JsonObject:
    """Return ``config`` as the overlay of an environment patches it (RFC 7396)."""
    overlay = document.overlays.get(environment)
    if overlay is None:
        return document.config
    return cast("JsonObject", merge_patch(document.config, overlay))


def resolve_all(
    document: ConfigurationDocument, environments: Iterable[str]
) -> dict[str, JsonObject]:
    """Return what ``document`` is in each environment, in alphabetical order."""
    return {name: resolve(document, name) for name in sorted(environments)}
