"""Fetches of JSON from issuers, bounded in size and time."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests
import urllib3

from configsvc_server.identity.settings import is_safe_url

__all__ = ["FetchError", "fetch_json"]

_CONNECT_TIMEOUT: Final = 3.0
_READ_TIMEOUT: Final = 5.0
_TOTAL_TIMEOUT: Final = 8.0
_MAX_BYTES: Final = 512 * 1024
_MAX_DESCRIPTION: Final = 300
_CHUNK: Final = 16 * 1024


class FetchError(Exception):
    """An issuer does not answer, or not as it should; the message says how."""

    def __init__(self, message: str, *, error: str | None = None) -> None:
        super().__init__(message)
        self.error = error
        """Code of an OAuth error, if it answered with one."""


def fetch_json(
    url: str,
    *,
    ca_file: Path | None = None,
    form: Mapping[str, str] | None = None,
    credentials: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Return the JSON object at ``url``; redirects are not followed.

    Args:
        url: from where, by https or from this machine.
        ca_file: certificates to trust instead of the usual ones.
        form: fields to POST; ``None`` for a GET.
        credentials: name and password of this server.

    Raises:
        FetchError: there is no such answer.
    """
    if not is_safe_url(url):
        raise FetchError(f"{url} is no https URL")
    give_up_at = time.monotonic() + _TOTAL_TIMEOUT
    try:
        with (
            requests.Session() as session,
            session.request(
                "GET" if form is None else "POST",
                url,
                data=form,
                auth=credentials,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                verify=True if ca_file is None else str(ca_file),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            status = response.status_code
            body = _read(response.raw, give_up_at)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise FetchError(f"{url} can't be reached: {type(error).__name__}") from error
    return _parse(url, status, body)


def _read(raw: urllib3.HTTPResponse, give_up_at: float) -> bytes:
    body = bytearray()
    # Each of these returns what there is; otherwise one byte at a time could take hours.
    while chunk := raw.read1(_CHUNK):
        body += chunk
        if len(body) > _MAX_BYTES:
            raise FetchError(f"an issuer answers with more than {_MAX_BYTES} bytes")
        if time.monotonic() > give_up_at:
            raise FetchError(f"an issuer takes more than {_TOTAL_TIMEOUT:g} seconds to answer")
    return bytes(body)


def _parse(url: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    is_object = isinstance(document, dict)
    if status != requests.codes.ok:
        error = document.get("error") if isinstance(document, dict) else None
        described = document.get("error_description") if isinstance(document, dict) else None
        more = f": {str(described)[:_MAX_DESCRIPTION]!r}" if described else ""
        raise FetchError(
            f"{url} answers with status {status}{more}",
            error=error if isinstance(error, str) else None,
        )
    if not is_object or not isinstance(document, dict):
        raise FetchError(f"{url} answers with something else than a JSON object")
    return document
