"""Audit of dependencies, by the real pip-audit over a service that does as the test says."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import clean_environment

ROOT = Path(__file__).parents[2]
VULNERABILITY = {
    "id": "PYSEC-2019-217",
    "aliases": ["CVE-2019-10906"],
    "summary": "Sandbox escape",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
        }
    ],
}


@contextmanager
def service(status: int, vulnerable: str = "") -> Iterator[str]:
    """Serve the interface of osv.dev, which knows one vulnerable package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_vulnerable = query["package"]["name"] == vulnerable
            body = json.dumps({"vulns": [VULNERABILITY]} if is_vulnerable else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def audit(
    *arguments: str, requirements: str = "jinja2==2.10\nfalcon==4.3.1\n", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tools/audit.py", *arguments],
        cwd=ROOT,
        env=clean_environment({"NO_PROXY": "127.0.0.1", **variables}),
        input=requirements,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def at(url: str) -> tuple[str, ...]:
    return ("--vulnerability-service=osv", f"--osv-url={url}")


def test_a_known_vulnerability_fails() -> None:
    with service(200, vulnerable="jinja2") as url:
        done = audit(*at(url))

    assert done.returncode == 1
    assert "jinja2 2.10: PYSEC-2019-217, CVE-2019-10906, fixed in 2.10.1" in done.stdout
    assert "1 of 2 packages are vulnerable" in done.stdout


def test_a_vulnerability_can_be_left_out_by_its_name() -> None:
    with service(200, vulnerable="jinja2") as url:
        done = audit(*at(url), "--ignore-vuln=PYSEC-2019-217")

    assert done.returncode == 0, done.stdout


def test_without_one_it_says_how_many_packages_it_has_seen() -> None:
    with service(200) as url:
        done = audit(*at(url))

    assert (done.returncode, done.stdout) == (
        0,
        "Audit: no known vulnerability in 2 packages.\n",
    )


@pytest.mark.parametrize("status", [500, 503])
def test_a_service_that_fails_is_one_line_and_no_failure(status: int) -> None:
    with service(status) as url:
        done = audit(*at(url))

    assert done.returncode == 0
    assert done.stdout.startswith("Audit: NOT DONE")
    assert done.stdout.count("\n") == 1


def test_without_a_network_it_is_one_line_and_no_failure(tmp_path: Path) -> None:
    done = audit(f"--cache-dir={tmp_path}", HTTPS_PROXY="http://127.0.0.1:1", NO_PROXY="")

    assert done.returncode == 0
    assert done.stdout.startswith("Audit: NOT DONE")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("requirements", ["", "jinja2>=2.10\n", "jinja2 2.10\n"])
def test_what_cannot_be_audited_at_all_fails(requirements: str) -> None:
    with service(200) as url:
        done = audit(*at(url), requirements=requirements)

    assert done.returncode == 1
    assert done.stdout.strip()
