"""``client.tokens``: the wrapper of the endpoints for API tokens."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from configsvc_client._http.api import KEEP, Api, Keep, Pages, segment
from configsvc_client._resources.access_models import CreatedToken, Grant, Token
from configsvc_client._resources.access_readers import read_created_token, read_token

__all__ = ["Tokens"]


class Tokens:
    """Wrapper of the endpoints for API tokens, which machines and scripts send.

    A client may do this with the tokens of a scope that it is ``admin`` on, and with its own.

    Example:
        >>> created = client.tokens.create(name="deploy", grants=[Grant("releaser", "shop")])
        >>> client.tokens.delete(created, message="shop has moved")
        >>> list(client.tokens.list())
        []
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def __repr__(self) -> str:
        return "<tokens: create, get, list, rotate, delete>"

    def create(
        self,
        *,
        name: str,
        grants: Sequence[Grant],
        expires_at: datetime | None = None,
        message: str | None = None,
    ) -> CreatedToken:
        """Create a token and return it with its text, which nobody can ask for later.

        Args:
            name: what it is for; it is in the history as ``token:`` and this name.
            grants: what it may do, 1 to 50 grants.
            expires_at: the time at which it ceases to work, timezone-aware; ``None`` for never.
            message: the reason, for the history.

        Raises:
            AuthError: this client may not grant so much itself.
            ValidationError: the server refuses a value.
            ValueError: the time is naive.

        Example:
            >>> created = client.tokens.create(
            ...     name="billing in prod", grants=[Grant("reader", "billing", "prod")]
            ... )
            >>> created
            <CreatedToken 'billing in prod' ...: reader on billing/prod>
            >>> print(created.token)
            configsvc_...
        """
        body: dict[str, Any] = {"name": name, "grants": [_document(grant) for grant in grants]}
        if expires_at is not None:
            body["expires_at"] = _timestamp(expires_at)
        response = self._api.call("POST", "/tokens", body=body, message=message)
        return self._api.read(response, read_created_token)

    def get(self, token: Token | str) -> Token:
        """Return a token by its id, or a given one as it is now.

        Raises:
            NotFoundError: there is no such token.

        Example:
            >>> created = client.tokens.create(name="deploy", grants=[Grant("releaser", "shop")])
            >>> client.tokens.get(created.id).last_used_at is None
            True
        """
        return self._api.read(self._api.call("GET", _path(token)), read_token)

    def list(self, *, newest_first: bool = False, page_size: int = 200) -> Pages[Token]:
        """Iterate over tokens, oldest first; pages are fetched as they are needed.

        Args:
            newest_first: whether to begin with the newest.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> for name in ("deploy", "backup"):
            ...     _ = client.tokens.create(name=name, grants=[Grant("reader")])
            >>> [token.name for token in client.tokens.list(newest_first=True)]
            ['backup', 'deploy']
        """
        return self._api.pages(
            "/tokens",
            read_token,
            what="tokens",
            params={"sort": "-id" if newest_first else "id"},
            page_size=page_size,
        )

    def rotate(
        self,
        token: Token | str,
        *,
        overlap: timedelta | None = None,
        expires_at: datetime | Keep | None = KEEP,
    ) -> CreatedToken:
        """Replace the text of a token; id, name and grants stay, and the old text for a while.

        Args:
            token: the token or its id.
            overlap: how long the old text works beside the new one, up to a week, in whole
                seconds; ``None`` for a day, ``timedelta(0)`` for not at all.
            expires_at: a new time at which it ceases to work, timezone-aware; ``None`` for never.

        Raises:
            NotFoundError: there is no such token.
            ValueError: the time is naive.

        Example:
            >>> created = client.tokens.create(name="deploy", grants=[Grant("releaser", "shop")])
            >>> rotated = client.tokens.rotate(created, overlap=timedelta(hours=1))
            >>> rotated.id == created.id, rotated.token == created.token
            (True, False)
        """
        body: dict[str, Any] = {}
        if overlap is not None:
            body["overlap"] = math.ceil(overlap.total_seconds())
        if not isinstance(expires_at, Keep):
            body["expires_at"] = None if expires_at is None else _timestamp(expires_at)
        response = self._api.call("POST", f"{_path(token)}/rotate", body=body)
        return self._api.read(response, read_created_token)

    def delete(self, token: Token | str, *, message: str | None = None) -> None:
        """Revoke a token: it works on no server any more, with the old text of a rotation too.

        Raises:
            NotFoundError: there is no such token.

        Example:
            >>> created = client.tokens.create(name="deploy", grants=[Grant("releaser", "shop")])
            >>> client.tokens.delete(created, message="it was in a log")
        """
        self._api.call("DELETE", _path(token), message=message)


def _path(token: Token | str) -> str:
    found = token if isinstance(token, str) else token.id
    if found in {"", ".", ".."}:
        raise ValueError("The id of a token can't be empty, '.' or '..'.")
    return f"/tokens/{segment(found)}"


def _document(grant: Grant) -> dict[str, str]:
    members = {
        "role": grant.role,
        "application": grant.application_id or grant.application,
        "environment": grant.environment,
    }
    return {name: value for name, value in members.items() if value is not None}


def _timestamp(at: datetime) -> str:
    if at.utcoffset() is None:
        raise ValueError(f"{at!r} could be any moment of a day: give it a time zone.")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
