"""Refusals: requests that never reach the application, as errors that say what was expected."""

from collections.abc import Sequence
from http import HTTPStatus

from waitress.utilities import Error

from configsvc_server.domain.errors import FieldError

__all__ = ["Refusal"]


class Refusal(Error):  # noqa: N818 - it is no exception, in waitress neither
    """Reason for which a request is answered by the server itself."""

    def __init__(
        self,
        code: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        location: str = "header",
        limit: int | None = None,
        retry_after: int | None = None,
        keeps_connection: bool = False,
    ) -> None:
        """Describe the refusal.

        Args:
            code: the status code.
            detail: what is wrong, for people.
            errors: what is wrong with which field.
            location: where the fields were sent.
            limit: the limit that was exceeded, in bytes.
            retry_after: when to try again, in seconds.
            keeps_connection: whether the request was read to its end, so that another may
                follow.
        """
        super().__init__(detail)
        self.code = code
        self.reason = HTTPStatus(code).phrase
        self.errors = errors
        self.location = location
        self.limit = limit
        self.retry_after = retry_after
        self.keeps_connection = keeps_connection
