"""The runbook at the desk: what each alarm links to. The document is the project's own."""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from desk.pages.forms import visitor
from desk.pages.render import page
from desk.sessions import Visit

router = APIRouter(include_in_schema=False)

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"


@router.get("/runbook")
async def runbook(request: Request, visit: Annotated[Visit, Depends(visitor("audit:read"))]) -> Response:
    """The incidents, each at its anchor."""
    if not RUNBOOK.is_file():
        raise HTTPException(404, "the runbook lies in docs/runbook.md of the project")
    return page(request, "runbook.html", visit, document=_shown(RUNBOOK.read_text(encoding="utf-8")))


@cache
def _shown(text: str) -> Markup:
    """Markdown without raw HTML, and an anchor at each heading."""
    made = MarkdownIt("commonmark", {"html": False})
    tokens = made.parse(text)
    for token, said in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", heading_anchor(said.content))
    return Markup(made.renderer.render(tokens, made.options, {}))  # noqa: S704  (our own document, HTML off)


def heading_anchor(heading: str) -> str:
    """The name of a heading in an address, as documents link to it."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
