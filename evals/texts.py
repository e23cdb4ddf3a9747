"""python -m evals.texts: the texts of the desk into its catalogues; what is new waits for a translation."""

import argparse
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from desk.catalogue import LANGUAGES, LOCALE
from policies.languages import DEFAULT

DESK = Path(__file__).parents[1] / "desk"
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"**/templates/**.html": {"trimmed": "false", "silent": "false"}}
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2), "counted_text": (1, 2)}


def desk_texts(folder: Path = DESK) -> Catalog:
    """Every text of the code and the templates, in the order of the files."""
    found = Catalog(fuzzy=False)
    for file, line, message, comments, context in extract_from_dir(
        folder, METHODS, OPTIONS, keywords=KEYWORDS
    ):
        found.add(message, None, [(file, line)], auto_comments=comments, context=context)
    return found


def catalogue_of(language: str) -> Catalog:
    """A catalogue as it stands; an empty one where there is none."""
    file = LOCALE / f"{language}.po"
    if not file.exists():
        return Catalog(locale=language, fuzzy=False)
    with file.open("rb") as said:
        return read_po(said, locale=language)


def _is_said(translation: object) -> bool:
    """Whether every form of a translation is there."""
    return all(translation) if isinstance(translation, tuple | list) else bool(translation)


def main() -> int:
    """0 where every text has both languages, 1 where some have not."""
    argparse.ArgumentParser(
        prog="python -m evals.texts",
        description="Bring the catalogues of desk/locale up to the texts of the desk.",
        epilog="example: make texts",
    ).parse_args()
    template, missing = desk_texts(), 0
    for language in LANGUAGES:
        if language == DEFAULT:
            continue
        known = catalogue_of(language)
        known.update(template, no_fuzzy_matching=True, keep_user_comments=False)
        known.obsolete.clear()
        with (LOCALE / f"{language}.po").open("wb") as file:
            write_po(file, known, no_location=True, sort_output=True, omit_header=True, width=110)
        lacks = [one.id for one in known if one.id and not _is_said(one.string)]
        missing += len(lacks)
        sys.stderr.write(f"{language}: {len(known)} texts, {len(lacks)} without a translation\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
