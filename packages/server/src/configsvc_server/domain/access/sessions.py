"""Sessions of persons who are signed in with a browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from configsvc_server.domain.access.principals import Principal

__all__ = ["Session", "StoredSession"]


@dataclass(frozen=True, slots=True)
class StoredSession:
    """Session, as it is kept."""

    id: str
    """Names it in lists; it is no secret."""
    principal: str
    issuer: str | None
    """The name of the issuer; ``None`` where it was begun with an API token."""
    groups: tuple[str, ...]
    claims: Mapping[str, Any]
    """Those that the rules of the issuer ask for."""
    token_id: str | None
    """The API token that it was begun with."""
    token_hash: bytes | None
    """Hash of the secret of that token; the session ends when this secret does."""
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    """Where it was used last."""
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """Session that a request belongs to."""

    id: str
    principal: Principal
    csrf_token: str
    """What every write has to show, since a browser sends cookies unasked."""
    expires_at: datetime
