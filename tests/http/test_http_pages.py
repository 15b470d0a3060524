"""The pages' files and headers: everything from here, nothing from elsewhere, and no sign-in of development in production."""

import re

import pytest
from http_samples import Shop, broken_rule, problem
from pydantic import SecretStr

from app.http.app import create_app
from app.http.pages import CONTENT_TYPES, STATIC_FOLDER, load_assets
from app.settings import Settings

PAGES = ("/sales/any-sale", "/console")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_may_load_only_what_is_ours_and_be_in_nobody_s_frame(shop: Shop, path: str) -> None:
    response = shop.passer_by.get(path)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    policy = dict(rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert re.fullmatch(r"'self'( 'sha256-[\w+/]{43}=')?", policy["style-src"])
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//""", response.text)
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", response.text)
    for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', response.text):
        assert shop.passer_by.get(asset).status_code == 200, asset


def test_every_static_file_is_served_with_its_type_and_kept_for_ever_under_its_version(shop: Shop) -> None:
    assets = load_assets()
    assert len(assets.contents) > 10
    for path, content in assets.contents.items():
        response = shop.passer_by.get(f"{assets.root}/{path}")
        assert (response.status_code, response.data) == (200, content)
        assert response.content_type == CONTENT_TYPES[path.rpartition(".")[2]]
        assert "immutable" in response.headers["Cache-Control"]
        other = shop.passer_by.get(f"/static/another-version/{path}")
        assert (other.data, other.headers["Cache-Control"]) == (content, "no-cache")


def test_a_file_that_has_not_changed_is_not_sent_again(shop: Shop) -> None:
    first = shop.passer_by.get("/static/any/buyer.js")
    again = shop.passer_by.get("/static/any/buyer.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["../pages.py", "%2e%2e/pages.py", "nothing.js", "vendor", ""])
def test_nothing_but_the_files_is_served(shop: Shop, path: str) -> None:
    problem(shop.passer_by.get(f"/static/any/{path}"), 404, "not-found")


def test_no_script_makes_html_or_code_of_text() -> None:
    for path, content in load_assets().contents.items():
        if path.endswith(".js") and not path.startswith("vendor/"):
            assert not re.search(
                rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", content
            ), path


def test_development_signs_anybody_in(shop: Shop) -> None:
    answer = shop.passer_by.post("/v1/development/token", json={"subject": "ann"})
    assert answer.headers["Cache-Control"] == "no-store"
    caller = shop.buyer()
    caller.token = answer.json["token"]
    assert caller.get("/v1/orders").status_code == 200
    assert caller.get("/v1/admin/sales").status_code == 403
    caller.token = shop.passer_by.post("/v1/development/token", json={"subject": "sam", "seller": True}).json["token"]
    assert caller.get("/v1/admin/sales").status_code == 200
    assert broken_rule(shop.passer_by.post("/v1/development/token", json={"subject": ""}))[0] == "subject"


@pytest.mark.parametrize("environment", ["development", "production"])
def test_where_a_real_issuer_gives_the_tokens_nobody_signs_in_here(settings: Settings, environment: str) -> None:
    changes = {"environment": environment, "auth_jwks_url": "https://issuer.example/keys"}
    real = settings.model_copy(update={**changes, "claim_key": SecretStr("11" * 32)})
    client = create_app(real).test_client()
    problem(client.post("/v1/development/token", json={"subject": "ann"}), 404, "not-found")
    page = client.get("/sales/any-sale").text
    assert 'data-sign-in="host"' in page
    assert "sign-in-form" not in page


def test_the_folder_has_nothing_that_is_not_served() -> None:
    files = [path for path in STATIC_FOLDER.rglob("*") if path.is_file()]  # type: ignore[attr-defined]  # a folder, here
    assert {path.suffix.removeprefix(".") for path in files} <= set(CONTENT_TYPES)
