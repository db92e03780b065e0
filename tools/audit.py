"""Audit of locked dependencies: fails for a known vulnerability, not for want of a network.

Standard input has the requirements, each pinned; arguments go to pip-audit as they are, such as
``--ignore-vuln ID`` for a vulnerability that does not concern us.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["main"]

_CONNECT_SECONDS: Final = 5
_ALL_SECONDS: Final = 60

# pip-audit ends with the same code for a vulnerability, an outage and a mistake of its caller.
_OUTAGE: Final = re.compile(
    r"requests\.exceptions\.|urllib3\.exceptions\.|ServiceError|ConnectionError"
    r"|Could not connect to|is not redirecting properly"
)


def main(arguments: Sequence[str], requirements: str) -> int:
    """Audit requirements and print what was found.

    Args:
        arguments: of pip-audit.
        requirements: lines such as ``falcon==4.3.1``.

    Returns:
        The exit code: 1 for a vulnerability, or if pip-audit can't do its work for another
        reason than that its data can't be reached.
    """
    if not requirements.strip():
        print("Audit: no requirements were given.")
        return 1
    try:
        done = _pip_audit(arguments, requirements)
    except subprocess.TimeoutExpired:
        return _not_audited(f"no answer within {_ALL_SECONDS} seconds")
    try:
        report = json.loads(done.stdout)
    except ValueError:
        if _OUTAGE.search(done.stderr):
            return _not_audited(done.stderr.strip().splitlines()[-1][:200])
        print(done.stderr)
        return 1
    return _judge(report["dependencies"])


def _pip_audit(arguments: Sequence[str], requirements: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(requirements, encoding="utf-8")
        options = ("--disable-pip", "--no-deps", "--format=json", "--progress-spinner=off")
        timeout = f"--timeout={_CONNECT_SECONDS}"
        return subprocess.run(
            [sys.executable, "-m", "pip_audit", "-r", file, *options, timeout, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_ALL_SECONDS,
        )


def _judge(dependencies: Sequence[dict[str, Any]]) -> int:
    vulnerable = [one for one in dependencies if one.get("vulns")]
    for one in vulnerable:
        for found in one["vulns"]:
            names = ", ".join([found["id"], *found.get("aliases", ())])
            fixed = ", ".join(found["fix_versions"]) or "no version"
            print(f"{one['name']} {one['version']}: {names}, fixed in {fixed}")
            print(f"  {found.get('description', '')[:300]}")
    if vulnerable:
        print(f"Audit: {len(vulnerable)} of {len(dependencies)} packages are vulnerable.")
        return 1
    # An index without the data of PyPI, such as a mirror, knows nothing of any package.
    skipped = [one["name"] for one in dependencies if "skip_reason" in one]
    if len(skipped) == len(dependencies):
        return _not_audited("the index has nothing about any of these packages")
    if skipped:
        print(f"Audit: nothing is known about {', '.join(skipped)}.")
    print(f"Audit: no known vulnerability in {len(dependencies) - len(skipped)} packages.")
    return 0


def _not_audited(reason: str) -> int:
    print(f"Audit: NOT DONE, the data about vulnerabilities can't be reached: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.read()))
