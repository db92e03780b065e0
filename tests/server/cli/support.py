"""The command in a process of its own."""

import subprocess
from pathlib import Path

from tests.support.servers import clean_environment, command


def run(
    *arguments: str, cwd: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``configsvc`` to its end and return its output."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=clean_environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
