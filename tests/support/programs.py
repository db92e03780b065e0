"""Programs of the system that a test runs, where they are installed."""

import os
import shutil

import pytest

_FOLDERS = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))


def require_program(name: str) -> str:
    """Return the path of a program.

    Where it is missing, the test is skipped; in CI, where ``make programs`` can install it, the
    test fails.
    """
    found = shutil.which(name, path=_FOLDERS)
    if found is None:
        is_installable = os.geteuid() == 0 and shutil.which("apt-get") is not None
        say = pytest.fail if os.environ.get("CI") and is_installable else pytest.skip
        say(f"Install {name}: this test runs it. As root on Debian, make programs does that.")
    return found
