"""The pages that people look at: the buyer's and the seller's, and the scripts and styles that they are made of.

They are files as they lie in `static/`: nothing is built. All their data comes from the interface that everybody else uses.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from app.http.api import Api
from app.http.local_sign_in import has_local_sign_in
from app.http.responses import PAGE_HEADERS, page_headers
from app.services.fairness_page import style_digest

STATIC_FOLDER = files("app.http") / "static"

CONTENT_TYPES: Mapping[str, str] = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
"""Of every kind of file there is; any other is not served."""

PAGE_CACHE = ("Cache-Control", "public, max-age=60")
KEPT_FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
NOT_KEPT = ("Cache-Control", "no-cache")


@dataclass(frozen=True, slots=True)
class Assets:
    """Every static file by its path under `static/`, and the version of them all together, which is part of their addresses."""

    contents: Mapping[str, bytes]
    version: str

    @property
    def root(self) -> str:
        """Where the files are: a new version has new addresses, so that a cache may keep the old ones for ever."""
        return f"/static/{self.version}"


def load_assets() -> Assets:
    """The files as they are now; some 200 kB, read once at the start of a process."""
    contents = dict(sorted(_walk(STATIC_FOLDER, "")))
    digest = hashlib.sha256()
    for path, content in contents.items():
        digest.update(b"%b\0%d\0%b" % (path.encode(), len(content), content))
    return Assets(contents, digest.hexdigest()[:16])


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            found += _walk(entry, path + "/")
        elif path.rpartition(".")[2] in CONTENT_TYPES:
            found.append((path, entry.read_bytes()))
    return found


def pages_blueprint(api: Api) -> Blueprint:
    """The pages' views. They are for browsers, so they are not part of the OpenAPI document."""
    views = Blueprint("pages", __name__, template_folder="templates")
    assets = load_assets()
    rendered: dict[str, str] = {}

    def page(template: str, headers: tuple[tuple[str, str], ...] = PAGE_HEADERS) -> Response:
        # The same page for everybody and every sale: which sale it is, the page reads off its own address.
        if template not in rendered:
            rendered[template] = render_template(
                template,
                assets=assets.root,
                sign_in="local" if has_local_sign_in(api.settings) else "host",
                mark=Markup(assets.contents["mark.svg"].decode()),  # noqa: S704  # a file of ours
            )
        return Response(rendered[template], headers=[*headers, PAGE_CACHE], content_type="text/html; charset=utf-8")

    @views.get("/sales/<sale_id>")
    def buyer(sale_id: str) -> Response:  # noqa: ARG001  # the page's script reads it
        return page("buyer.html")

    @views.get("/console")
    def console() -> Response:
        return page("console.html", page_headers(style_digest()))

    @views.get("/static/<version>/<path:path>")
    def static(version: str, path: str) -> Response:
        content = assets.contents.get(path)
        if content is None:
            raise NotFound
        # While a new version is rolled out, a page of one process asks another for its files: it gets what is there, unkept.
        cache = KEPT_FOR_EVER if version == assets.version else NOT_KEPT
        response = Response(
            content, headers=[*PAGE_HEADERS, cache], content_type=CONTENT_TYPES[path.rpartition(".")[2]]
        )
        response.set_etag(assets.version)
        response.make_conditional(request.environ)
        return response

    return views
