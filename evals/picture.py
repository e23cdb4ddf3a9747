"""python -m evals.picture: draw the graph as it is compiled into docs/how-it-is-built.md, for people who look first."""

import argparse
import re
import sys
from pathlib import Path

from graph.refund_graph import refund_graph
from graph.services import GraphServices
from policies.manifest import manifest
from policies.signature import public_keys
from records.books import Books

PAGE = Path(__file__).parents[1] / "docs/how-it-is-built.md"
FRAME = re.compile(r"(<!-- picture -->\n).*?(<!-- /picture -->)", re.DOTALL)


def graph_picture() -> str:
    """The compiled graph as Mermaid: the autonomous part boxed, the money outside it."""
    services = GraphServices(
        Books.at("postgresql://nobody@127.0.0.1/nowhere", size=1), manifest(), public_keys([])
    )
    drawn = refund_graph(services).get_graph(xray=1).draw_mermaid()
    return f"```mermaid\n{drawn.strip()}\n```\n"


def framed(text: str) -> str:
    """A text with the picture in its frame."""
    if not FRAME.search(text):
        raise SystemExit(
            "evals.picture: the page has no frame for the picture: <!-- picture --> … <!-- /picture -->"
        )
    return FRAME.sub(lambda frame: frame.group(1) + graph_picture() + frame.group(2), text)


def main() -> int:
    """Draw; 1 with --check where the page shows another graph."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.picture",
        description="Draw the compiled graph into docs/how-it-is-built.md.",
        epilog="example: python -m evals.picture --check",
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; say whether the picture is true"
    )
    options = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    drawn = framed(text)
    if options.check:
        return int(drawn != text)
    PAGE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
