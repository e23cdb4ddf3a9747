"""A policy as an export of clauses, one JSON object a line: {"id": "retail-039", "section": "Returns", "text": "…"}.

Each section becomes a document; a clause keeps its id and its words to the letter. What it allows stands
beside it, in lines of rules that name the clause: {"rule": "delivered-return", "clause": "retail-042"}.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from policies.documents import CLAUSE_LIMIT, BadDocument, Clause, PolicyDocument
from refunds.canonical import BadJson, digest, read_json

_ANYWHERE = "*"


class ClauseLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
    section: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=CLAUSE_LIMIT)]


@dataclass(frozen=True, slots=True)
class Edition:
    """What the export does not say: which version its clauses are, where and from when on they count."""

    version: int = 1
    region: str = _ANYWHERE
    effective_on: date = date(2000, 1, 1)


def read_clause_lines(file: Path, rules_file: Path | None, edition: Edition) -> tuple[PolicyDocument, ...]:
    """The documents of an export, a section each; BadDocument names the first line that breaks the form."""
    sections: dict[str, list[Clause]] = {}
    for number, value in _lines(file):
        try:
            line = ClauseLine.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise BadDocument(
                f"{file.name}:{number}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
            ) from None
        if not line.text.replace("\n", " ").isprintable() or not line.section.isprintable():
            raise BadDocument(f"{file.name}:{number}: a control character in it")
        sections.setdefault(line.section, []).append(Clause(line.id, line.text))
    stated = list(_rules(rules_file)) if rules_file else []
    known = [clause.number for clauses in sections.values() for clause in clauses]
    if not known or len(set(known)) != len(known):
        raise BadDocument(f"{file.name}: clauses have an id, each once, and there is at least one")
    for rule in stated:
        if not isinstance(rule.get("clause"), str) or rule["clause"] not in known:
            raise BadDocument(f"{rules_file}: a rule names clause {rule.get('clause')}, which is not there")
    names = _names(sections)
    try:
        return tuple(
            _document(names[title], title, clauses, stated, edition) for title, clauses in sections.items()
        )
    except TypeError as error:
        raise BadDocument(f"{rules_file}: a rule is JSON with whole numbers: {error}") from None


def _names(titles: Iterable[str]) -> dict[str, str]:
    """An id for each section, from its title; with a hash where two would have one, or one none."""
    slugs = {title: re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:100] for title in titles}
    once = Counter(slugs.values())
    return {
        title: slug if slug and once[slug] == 1 else f"{slug or 'section'}-{digest(title)[:8]}"
        for title, slug in slugs.items()
    }


def _document(
    name: str, title: str, clauses: list[Clause], stated: list[dict[str, object]], edition: Edition
) -> PolicyDocument:
    numbers = {clause.number for clause in clauses}
    rules = tuple(rule for rule in stated if rule["clause"] in numbers)
    words = [[clause.number, clause.quote] for clause in clauses]
    return PolicyDocument(
        document_id=name,
        version=edition.version,
        title=title,
        region=edition.region,
        status="approved",
        effective_on=edition.effective_on,
        expires_on=None,
        rules=rules,
        clauses=tuple(clauses),
        sha256=digest([title, words, list(rules)]),
    )


def _rules(file: Path) -> Iterator[dict[str, object]]:
    for number, value in _lines(file):
        if not isinstance(value, dict):
            raise BadDocument(f"{file.name}:{number}: a rule is one JSON object")
        yield value


def _lines(file: Path) -> Iterator[tuple[int, object]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadDocument(f"{file.name}: not UTF-8") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, read_json(line)
            except BadJson as error:
                raise BadDocument(f"{file.name}:{number}: {error}") from None
