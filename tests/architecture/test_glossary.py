"""The words: what the glossary retires stands in no name of the code, each of its words has one line, and no name of a
class or a function is public twice."""

import ast
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs/glossary.md"


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, cell by cell."""
    part = GLOSSARY.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| \n").split(" | ") for line in part.splitlines() if line.startswith("|")]
    return rows[2:]


RETIRED = {
    name: row[2] if len(row) > 2 else ""
    for row in table("Retired")
    for name in re.findall(r"`(\w+)`", row[0])
}


@cache
def names() -> dict[str, set[str]]:
    """Every name that stands in the code, and in which files."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    files = listed.stdout.split() or [str(file.relative_to(ROOT)) for file in ROOT.glob("*/**/*.py")]
    found: dict[str, set[str]] = {}
    for file in files:
        if (ROOT / file).is_file():
            with tokenize.open(ROOT / file) as source:
                for token in tokenize.generate_tokens(source.readline):
                    if token.type == tokenize.NAME:
                        found.setdefault(token.string, set()).add(file)
    return found


def allowed(name: str, file: str) -> bool:
    if name == "Page":
        return any(part in (ROOT / file).read_text(encoding="utf-8") for part in ("playwright",))
    return file in RETIRED[name]


EVERYDAY = {"mind", "ring", "sight", "thought", "voice"}
"""Retired as names; as words of everyday English they are what they were (a change of mind)."""

EXPLAINED = {
    ("docs/decisions/0001-the-interrupt-is-a-doorbell.md", "doorbell"),
    ("docs/decisions/README.md", "doorbell"),
}


def prose(file: Path) -> str:
    """What a page says to its reader: without code, templates' own statements and tags."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".html":
        return re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", text, flags=re.DOTALL)
    return re.sub(r"^```.*?^```|^    .*?$|`[^`]*`|\]\([^)]*\)", " ", text, flags=re.DOTALL | re.MULTILINE)


def test_a_retired_word_stands_in_no_document_and_on_no_page() -> None:
    retired = {name for name in RETIRED if re.fullmatch(r"[a-z]+", name)} - EVERYDAY
    assert len(retired) > 20
    files = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("desk/pages/templates/*.html")]
    said = {
        (str(file.relative_to(ROOT)), word)
        for file in files
        if file != GLOSSARY
        for word in set(re.findall(r"[a-z]+", prose(file).lower())) & retired
    }
    assert said - EXPLAINED == set()


@pytest.mark.parametrize("name", sorted(RETIRED))
def test_a_retired_word_names_nothing(name: str) -> None:
    assert [file for file in sorted(names().get(name, set())) if not allowed(name, file)] == []


def test_each_word_has_one_line_and_none_is_retired_too() -> None:
    words = [row[0] for row in table("Words")]
    assert len(words) == len(set(words)) >= 30
    assert words == sorted(words, key=str.lower)
    assert not {word.lower() for word in words} & {name.lower() for name in RETIRED}


ENTRY = {"main", "run", "judge"}
"""What every process and every clause has: `python -m`, and the one function of `policies/clauses`."""


def sources() -> Iterator[Path]:
    """Every module of the program."""
    for file in sorted(ROOT.glob("*/**/*.py")):
        folder = file.relative_to(ROOT).parts[0]
        if folder not in {"tests", "build", "var"} and not folder.startswith("."):
            yield file


def public(kind: tuple[type[ast.stmt], ...]) -> dict[str, list[str]]:
    """The files in which each public name of a module stands, but for commands and routes, which their decorators name."""
    found: dict[str, list[str]] = {}
    for file in sources():
        place = file.relative_to(ROOT)
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or not isinstance(
                node, kind
            ):
                continue
            routed = not isinstance(node, ast.ClassDef) and node.decorator_list
            if not node.name.startswith("_") and not routed:
                found.setdefault(node.name, []).append(str(place))
    return found


@pytest.mark.parametrize(
    "kind", [(ast.ClassDef,), (ast.FunctionDef, ast.AsyncFunctionDef)], ids=["class", "function"]
)
def test_no_name_is_public_twice(kind: tuple[type[ast.stmt], ...]) -> None:
    there = public(kind)
    assert len(there) > 100
    assert {name: files for name, files in there.items() if len(files) > 1 and name not in ENTRY} == {}


def test_no_alias_has_the_name_of_a_class() -> None:
    """Broken? An alias reads like the class of that name, and a wrong rename hides behind it."""
    classes = public((ast.ClassDef,))
    aliases = {
        node.targets[0].id: file
        for file in sources()
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert {name: str(file) for name, file in aliases.items() if name in classes} == {}
