"""API documentation: ``/``, ``/openapi.json`` and ``/docs``.

The documentation page is Swagger UI from the ``offapi`` wheel; nothing is loaded from
another host, and the Content-Security-Policy sees to it.
"""

import gzip
import json
from importlib import resources
from typing import Final

import falcon

from configsvc_server import __version__
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.http import PREFIX
from configsvc_server.http.conditional import answer_not_modified, content_etag, read_if_none_match

__all__ = ["DocsAssetResource", "DocsResource", "IndexResource", "OpenApiResource"]

_ASSETS: Final = {
    "swagger-ui.js": ("swagger_bundle.js", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("swagger_style.css", "text/css; charset=utf-8"),
}

_START: Final = b"""\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
});
"""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>configsvc API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="ui">The page needs JavaScript; <a href="openapi.json">the document itself</a> does not.
</div>
<script src="docs/swagger-ui.js"></script>
<script src="docs/start.js"></script>
</html>
"""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class IndexResource:
    """Root: links to the entry points."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Name the service and its entry points."""
        resp.text = json.dumps(
            {
                "service": "configsvc",
                "version": __version__,
                "api": PREFIX,
                "docs": "/docs",
                "openapi": "/openapi.json",
                "health": "/health",
            }
        )

    on_head = on_get


class OpenApiResource:
    """The OpenAPI document."""

    def __init__(self, document: JsonObject) -> None:
        self._body = json.dumps(document, ensure_ascii=False).encode()
        self._etag = content_etag(self._body)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get the document."""
        if not answer_not_modified(resp, self._etag, read_if_none_match(req)):
            resp.data = self._body

    on_head = on_get


class DocsResource:
    """Page that renders the OpenAPI document and can try it out."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get the page."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", _POLICY)
        resp.text = _PAGE

    on_head = on_get


class DocsAssetResource:
    """Scripts and styles of the page."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, asset: str) -> None:
        """Get one of them."""
        if asset == "start.js":
            body, media_type = _START, "text/javascript; charset=utf-8"
        elif asset in _ASSETS:
            file, media_type = _ASSETS[asset]
            body = resources.files("offapi").joinpath(file).read_bytes()
        else:
            raise falcon.HTTPNotFound
        if answer_not_modified(resp, content_etag(body), read_if_none_match(req)):
            return
        resp.content_type = media_type
        resp.set_header("Cache-Control", "no-cache")
        resp.set_header("Vary", "Accept-Encoding")
        if "gzip" in (req.get_header("Accept-Encoding") or ""):
            resp.set_header("Content-Encoding", "gzip")
            body = gzip.compress(body, mtime=0)
        resp.data = body

    on_head = on_get
