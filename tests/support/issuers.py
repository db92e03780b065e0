"""Issuer for tests: keys, tokens signed by them, and an HTTP server that publishes them."""

import base64
import json
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeyParameters, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "https://config.example.com"


class StubIssuer:
    """Issuer that does as the test says."""

    def __init__(self, url: str = "https://issuer.example.com") -> None:
        self.url = url
        self.key = _first_key()
        self.published: list[dict[str, Any]] = [public(self.key)]
        self.is_down = False
        self.id_token: str | None = None
        """What the token endpoint gives."""
        self.discovery: dict[str, Any] = {}
        """Members of its discovery document besides the usual ones."""
        self.requests: list[str] = []
        self.forms: list[str] = []
        self.body: bytes | None = None
        """Answers everything, if there is one."""

    def claims(self, **others: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            **others,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        algorithm: str = "RS256",
        **claims: Any,
    ) -> str:
        signer = key or self.key
        full = {"alg": algorithm, "kid": signer.get("kid"), **(header or {})}
        full = {name: value for name, value in full.items() if value is not None}
        registry = JWSRegistry(algorithms=[full["alg"]], strict_check_header=False)
        with warnings.catch_warnings():
            # EdDSA is another name for Ed25519 that issuers use.
            warnings.simplefilter("ignore")
            return jwt.encode(full, self.claims(**claims), signer, registry=registry)

    def count(self, path: str) -> int:
        return self.requests.count(path)

    def answer(self, path: str) -> dict[str, Any]:
        match path.partition("?")[0]:
            case "/.well-known/openid-configuration":
                return {
                    "issuer": self.url,
                    "jwks_uri": f"{self.url}/jwks",
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    **self.discovery,
                }
            case "/jwks":
                return {"keys": self.published}
            case "/token":
                return {"id_token": self.id_token, "access_token": "opaque"}
        return {}


@cache
def _first_key() -> Key:
    # To make one takes a second.
    return new_key("k1")


def new_key(kid: str, kind: str = "RSA") -> Key:
    parameters: KeyParameters = {"kid": kid, "use": "sig"}
    match kind:
        case "EC":
            return ECKey.generate_key("P-256", parameters)
        case "OKP":
            return OKPKey.generate_key("Ed25519", parameters)
        case "oct":
            return OctKey.generate_key(256, parameters)
    return RSAKey.generate_key(2048, parameters)


def public(key: Key) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


def raw_token(header: object, claims: object, signature: bytes = b"") -> str:
    """Return a token of any content, as no library would make it."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@contextmanager
def stub_issuer() -> Iterator[StubIssuer]:
    """Serve an issuer on a free port of this machine while the block runs."""
    issuer = StubIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.requests.append(self.path)
            if issuer.is_down:
                self.send_error(503)
                return
            body = json.dumps(issuer.answer(self.path)).encode()
            body = body if issuer.body is None else issuer.body
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            issuer.forms.append(self.rfile.read(length).decode())
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(
            target=server.serve_forever, args=(0.01,), name="issuer", daemon=True
        )
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join(10)
