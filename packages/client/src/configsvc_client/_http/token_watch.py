"""Token watch: whether there is another token than one that the server has refused.

Tokens rotate while a program runs: a file is replaced, a function returns another one. What was
refused is not sent again and again, and what takes its place is sent at once.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from configsvc_client._http.credentials import Credentials, credentials_of
from configsvc_client._http.failures import Failure
from configsvc_client._http.token_file import TokenFile
from configsvc_client._http.types import Response
from configsvc_client.options import Options

__all__ = ["TokenWatch"]

_REFUSALS: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class TokenWatch:
    """Watch over the token of one transport; threads may share it."""

    EVERY_FILE: Final = 1.0
    """Seconds between two looks at a token file, which cost a ``stat``."""

    EVERY_CALL: Final = 5.0
    """Seconds between two calls of a token function, which may ask a server of its own."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        """Create a watch that has nothing to look for yet.

        Args:
            options: the settings of the client.
            clock: returns the monotonic time in seconds.
        """
        self._options = options
        self._clock = clock
        self._may_change = callable(options.token)
        is_file = isinstance(options.token, TokenFile)
        self._pace = self.EVERY_FILE if is_file else self.EVERY_CALL
        self._refused: Credentials | None = None
        self._looked_at = 0.0

    def renewed(self, outcome: Response | Failure, sent: Credentials) -> Credentials | None:
        """Return the credentials to send a request with once more.

        Args:
            outcome: what came of the request.
            sent: the credentials that it had.

        Returns:
            Those that there are by now, where the server does not know those that were sent;
            ``None`` where that is not the reason, or they are the same.
        """
        if not (self._may_change and isinstance(outcome, Response)):
            return None
        if outcome.status != HTTPStatus.UNAUTHORIZED or outcome.answered_by is not None:
            return None
        found = credentials_of(self._options)
        return None if isinstance(found, str) or found == sent else found

    def answered(self, response: Response, sent: Credentials) -> None:
        """Note a response, and look for another token from now on if it is a refusal."""
        if response.status in _REFUSALS:
            self.refused(sent)
        else:
            self._refused = None

    def refused(self, sent: Credentials) -> None:
        """Look for other credentials from now on."""
        if self._may_change:
            self._looked_at = self._clock()
            self._refused = sent

    def has_other(self) -> bool:
        """Return whether there are other credentials than those that were refused.

        It looks at most once in :attr:`EVERY_FILE` or :attr:`EVERY_CALL` seconds.
        """
        refused, now = self._refused, self._clock()
        if refused is None or now - self._looked_at < self._pace:
            return False
        self._looked_at = now
        found = credentials_of(self._options)
        return not isinstance(found, str) and found != refused
