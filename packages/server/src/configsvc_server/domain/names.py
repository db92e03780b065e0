"""Names: what a new name of an application or a configuration may be.

They stand in paths, in lines of a terminal and in logs, so a name is what can be seen, and is the
same wherever it is seen. One that was given before there were these rules stays as it is.
"""

import re
from typing import Final

from configsvc_server.domain.errors import FieldError, InvalidError

__all__ = ["NAME_EXPECTED", "NAME_PATTERN", "is_name", "require_name"]

# Control characters, line and paragraph separators, and what is invisible or turns the direction
# of the text. The joiners U+200C and U+200D stay: some scripts and emoji are written with them.
_UNSEEN: Final = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufdd0-\ufdef\ufffe\uffff"
)

NAME_PATTERN: Final = rf"^(?!\.\.?$)(?!\s)(?:[^{_UNSEEN}]*[^\s{_UNSEEN}])?$"
"""Regular expression of a name, in the dialect of JSON Schema."""

NAME_EXPECTED: Final = (
    "must not begin or end with a blank, have line breaks, control or invisible characters, or be "
    "'.' or '..'"
)
"""What is expected of a name, to be read after that of the field."""

_NAME: Final = re.compile(NAME_PATTERN[:-1] + r"\Z")


def is_name(text: str) -> bool:
    """Return whether something new may have this name."""
    return _NAME.match(text) is not None


def require_name(name: str, current: str) -> None:
    """Check the name that something is to have.

    Args:
        name: the name.
        current: the name that it has now, which it may keep in any case.

    Raises:
        InvalidError: the name is a new one, and can't be one.
    """
    if name != current and not is_name(name):
        raise InvalidError([FieldError("/name", NAME_EXPECTED)])
