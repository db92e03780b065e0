"""A server as docs/security.md starts it, behind nginx with the configuration in deploy."""

import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import trustme
from requests.adapters import HTTPAdapter

from tests.support.programs import require_program
from tests.support.servers import server_process
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
NAME = "config.example.com"

# What nginx and distributions have by default, in short: a test that passes shows that the
# configuration does not depend on it.
_NGINX = """\
daemon off;
pid nginx.pid;
worker_processes 1;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;

    proxy_read_timeout 1s;
    client_max_body_size 64k;
    gzip on;
    gzip_types *;
    gzip_min_length 1;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_ciphers ALL:@SECLEVEL=0;

    include configsvc.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Server behind its proxy."""

    http_port: int
    https_port: int
    authority: Path
    """The certificate to trust."""
    token: str
    """Of the first start: it may do everything."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def plain_url(self) -> str:
        return f"http://localhost:{self.http_port}"

    def browser(self, *, address: str = "127.0.0.1") -> requests.Session:
        """Return a session that trusts the certificate and comes from an address."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.authority)
        session.mount("https://", _From(address))
        session.headers["Host"] = NAME
        return session

    def api(self) -> requests.Session:
        """Return a session of somebody who may do everything."""
        session = self.browser()
        session.headers["Authorization"] = f"Bearer {self.token}"
        return session


class _From(HTTPAdapter):
    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **others: Any
    ) -> None:
        super().init_poolmanager(
            connections, maxsize, block, source_address=(self._address, 0), **others
        )


@contextmanager
def nginx_site(database_url: str, folder: Path) -> Iterator[Site]:
    """Run the server and nginx before it until the block ends."""
    nginx = require_program("nginx")
    with server_process("--database-url", database_url, *_documented_flags(), cwd=folder) as server:
        assert server.process.stdout is not None
        token = next(
            found[0]
            for line in server.process.stdout
            if (found := re.search(r"configsvc_\w{38}", line))
        )
        authority = _certificates(folder)
        upstream = server.url.removeprefix("http://")
        process, ports = _started(nginx, folder, upstream)
        try:
            yield Site(*ports, authority, token)
        finally:
            process.terminate()
            process.wait(20)


def _documented_flags() -> list[str]:
    """Return what the section about TLS starts the server with."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").split("\n## TLS\n")[1]
    found = re.search(r"```sh\n(configsvc serve .*?)```", text, re.DOTALL)
    assert found is not None
    return shlex.split(found[1].replace("\\\n", " "))[2:]


def _certificates(folder: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME, "localhost")
    certificate.private_key_pem.write_to_path(folder / "site.key")
    for part in certificate.cert_chain_pems:
        part.write_to_path(folder / "site.pem", append=True)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return folder / "authority.pem"


def _started(
    nginx: str, folder: Path, upstream: str
) -> tuple[subprocess.Popen[bytes], tuple[int, int]]:
    """Start nginx on free ports; others may take them first, so that it has to try again."""
    log = folder / "error.log"
    for _ in range(5):
        ports = _free_port(), _free_port()
        _configure(folder, upstream, *ports)
        process = subprocess.Popen(
            [nginx, "-e", str(log), "-p", str(folder), "-c", str(folder / "nginx.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: process.poll() is not None or all(map(_listens, ports)))  # noqa: B023
        if process.poll() is None:
            return process, ports
        assert "Address already in use" in log.read_text(), log.read_text()
    raise AssertionError("no port is free")


def _configure(folder: Path, upstream: str, http: int, https: int) -> None:
    text = (ROOT / "deploy" / "nginx" / "configsvc.conf").read_text(encoding="utf-8")
    for theirs, ours in {
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "server 127.0.0.1:8080;": f"server {upstream};",
        f"/etc/ssl/{NAME}.pem": str(folder / "site.pem"),
        f"/etc/ssl/private/{NAME}.key": str(folder / "site.key"),
    }.items():
        assert text.count(theirs) == 1, theirs
        text = text.replace(theirs, ours)
    (folder / "configsvc.conf").write_text(text)
    # Its workers would have another user, to whom the folder of the test is closed.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(user=user))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
