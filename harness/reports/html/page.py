"""The page put together: templates with autoescape, style and script inside, and a policy that lets in nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from harness.reports.display import escape
from harness.reports.exhibits import Exhibits
from harness.reports.html.cards import card_views
from harness.reports.html.overview import overview_view
from harness.reports.record import Run

_PACKAGE = "harness.reports.html"


def page_html(
    run: Run,
    exhibits: Exhibits,
    pictures: Mapping[str, str],
    trends: Mapping[str, Sequence[float | None]] | None = None,
) -> str:
    """The text of index.html. pictures: by digest, a small copy as a data URI (thumbnails.py). trends: by claim, its
    values over the last runs, this one's at the end.

    Jinja2 costs 60 ms, so it is imported only where a page is written.
    """
    style, script = _text("page.css"), _text("page.js")
    text: str = _template().render(
        policy=_policy(style, script),
        style=style,
        script=script,
        data=_data(exhibits, pictures),
        overview=overview_view(run),
        cards=card_views(run.records, exhibits.cards, trends or {}),
    )
    return text


def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("harness.reports", "html")
    loaded = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return loaded.get_template("page.html.j2")


def _text(name: str) -> str:
    return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing is loaded from anywhere, and no style or script runs but the page's own two, named by their sha256."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _data(exhibits: Exhibits, pictures: Mapping[str, str]) -> str:
    """What cards draw when they are opened. In JSON `<` stands in strings only, so no prompt can end the element."""
    cards = ",".join(f"{json.dumps(escape(name))}:{card}" for name, card in exhibits.cards.items())
    rest = f'"texts":{json.dumps(exhibits.texts)},"pictures":{json.dumps(dict(pictures))}'
    return f'{{"cards":{{{cards}}},{rest}}}'.replace("<", "\\u003c")
