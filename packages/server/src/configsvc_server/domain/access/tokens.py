"""API tokens, as they are kept, and the documents that callers write."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from configsvc_server.domain.access.grants import Grant
from configsvc_server.domain.strict_json import JsonObject

__all__ = [
    "DEFAULT_OVERLAP",
    "MAX_GRANTS",
    "MAX_GRANTS_OF_TOKEN",
    "MAX_OVERLAP",
    "MAX_TOKENS",
    "ShownGrant",
    "Token",
    "TokenUse",
]

MAX_TOKENS: Final = 10_000
"""Tokens of one installation."""
MAX_GRANTS_OF_TOKEN: Final = 50
"""Grants that one token is created with."""
MAX_GRANTS: Final = 20_000
"""Grants of one installation, besides those of tokens."""

DEFAULT_OVERLAP: Final = timedelta(days=1)
"""How long the secret before a rotation works on."""
MAX_OVERLAP: Final = timedelta(days=7)
"""How long it may."""


@dataclass(frozen=True, slots=True)
class Token:
    """API token, without its secret, which is not kept."""

    id: str
    name: str
    hint: str
    """The last four characters of the secret."""
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    rotated_at: datetime | None
    previous_expires_at: datetime | None
    """Until when the secret before the last rotation works."""
    last_used_at: datetime | None
    """Written at most once a minute."""
    last_used_address: str | None
    last_used_client: str | None
    """The ``User-Agent`` of the last use."""

    @property
    def principal(self) -> str:
        """How grants name it."""
        return f"token:{self.id}"


@dataclass(frozen=True, slots=True)
class ShownGrant:
    """Grant with the name of its application, as people know it."""

    grant: Grant
    application: str | None

    @property
    def members(self) -> JsonObject:
        """The members by their names, as JSON has them."""
        return {
            "role": self.grant.role.label,
            "application_id": self.grant.scope.application_id,
            "application": self.application,
            "environment": self.grant.scope.environment,
        }


@dataclass(frozen=True, slots=True)
class TokenUse:
    """Last use of a token."""

    token_id: str
    at: datetime
    address: str
    client: str | None
