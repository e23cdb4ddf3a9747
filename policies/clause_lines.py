"""A policy as an export of clauses, one JSON object a line: {"id": "retail-039", "section": "Returns", "text": "…"}.

Each section becomes a document; a clause keeps its id and its words to the letter. A line with a `title` in place of a
section is a document of its own, also where two have one title, and its passages are its clauses; `document` names the
document where the export knows it. A line may say its `version`, `region`, `status`, `effective` and `expires`, and how
customers ask for it (`asked`): lines of one section that differ in these are different documents. What a title marks as
internal or words address to staff is private, and an offer that names its days counts on those. So an approval of the
whole file makes nothing count that was not meant to. What a clause allows stands beside it, in lines of rules that name
the clause: {"rule": "delivered-return", "clause": "retail-042"}. A guideline of a support desk is a line too.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from policies.audience import is_for_staff, is_titled_internal, window_of
from policies.documents import CLAUSE_LIMIT, BadDocument, Clause, PolicyDocument
from policies.guideline_lines import Guideline
from policies.sections import passages
from refunds.canonical import BadJson, digest, read_json
from refunds.ticket import said_small
from refunds.vocabulary import DocumentStatus

_ANYWHERE = "*"


Name = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
IsoDay = Annotated[date, Field(strict=False)]


class ClauseLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    id: Name
    section: Title | None = None
    title: Title | None = None
    document: Name | None = None
    text: Annotated[str, StringConstraints(min_length=1)] = Field(
        validation_alias=AliasChoices("text", "content")
    )
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    region: Annotated[str, StringConstraints(pattern=r"^(\*|[A-Z]{2,3})$")] | None = None
    status: DocumentStatus | None = None
    effective: IsoDay | None = None
    expires: IsoDay | None = None
    asked: Annotated[
        list[Annotated[str, StringConstraints(max_length=CLAUSE_LIMIT)]], Field(max_length=200)
    ] = Field(default_factory=list)
    path: str | None = None
    """Where the export had it; not kept."""


@dataclass(frozen=True, slots=True)
class Edition:
    """What the export does not say: which version its clauses are, where and from when on they count."""

    version: int = 1
    region: str = _ANYWHERE
    effective_on: date = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class _Group:
    """What lines of one document have in common."""

    name: str
    title: str
    version: int
    region: str
    status: DocumentStatus
    effective_on: date
    expires_on: date | None


def read_clause_lines(
    file: Path, rules_file: Path | None, edition: Edition, bad: dict[int, str] | None = None
) -> tuple[PolicyDocument, ...]:
    """The documents of an export. BadDocument names the first line that breaks the form.

    With `bad`, such a line stops no other: it is left out, and stands there by its number with why.
    """
    groups: dict[_Group, list[Clause]] = {}
    known: set[str] = set()
    for number, text in enumerate(_text(file).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            lines = _clause_lines(text, known)
        except BadDocument as error:
            if bad is None:
                raise BadDocument(f"{file.name}:{number}: {error}") from None
            bad[number] = str(error)
            continue
        for line in lines:
            known.add(line.id)
            groups.setdefault(_group(line, edition), []).extend(_clauses(line))
    if not groups:
        raise BadDocument(f"{file.name}: clauses have an id, each once, and there is at least one")
    stated = list(_rules(rules_file)) if rules_file else []
    for rule in stated:
        if not isinstance(rule.get("clause"), str) or rule["clause"] not in known:
            raise BadDocument(f"{rules_file}: a rule names clause {rule.get('clause')}, which is not there")
    names = _names(groups)
    try:
        return tuple(_document(names[group], group, clauses, stated) for group, clauses in groups.items())
    except TypeError as error:
        raise BadDocument(f"{rules_file}: a rule is JSON with whole numbers: {error}") from None


def _clause_lines(text: str, known: set[str]) -> list[ClauseLine]:
    """The clauses of a line of the export: one, or those of a guideline. BadDocument says what is wrong with it."""
    try:
        said = read_json(text)
        if isinstance(said, dict) and "subflow" in said:
            lines = [ClauseLine.model_validate(one) for one in Guideline.model_validate(said).lines()]
        else:
            lines = [ClauseLine.model_validate(said)]
    except BadJson as error:
        raise BadDocument(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadDocument(f"{'.'.join(map(str, first['loc']))}: {said_small(first['msg'])}") from None
    for line in lines:
        _check(line, known)
    return lines


def _check(line: ClauseLine, known: set[str]) -> None:
    if line.title is None and len(line.text) > CLAUSE_LIMIT:
        raise BadDocument(
            f"text: {len(line.text)} characters, at most {CLAUSE_LIMIT}: make it several clauses"
        )
    if line.section is None and line.title is None and line.document is None:
        raise BadDocument("section: a clause has a section, a title or a document")
    if line.id in known:
        raise BadDocument(f"id: {line.id} stands twice: the first line counts")
    said = (
        line.text.replace("\n", " ").replace("\t", " "),
        line.section or "",
        line.title or "",
        *line.asked,
    )
    if not all(one.isprintable() for one in said):
        raise BadDocument("a control character in it")
    if line.expires is not None and line.effective is not None and line.expires <= line.effective:
        raise BadDocument("expires: before it is in force")


def _clauses(line: ClauseLine) -> list[Clause]:
    """A line as a clause; a document of its own as its passages, where it has more than one."""
    found = passages(line.text, CLAUSE_LIMIT) if line.title is not None else []
    if len(found) < 2:
        return [Clause(line.id, line.text, tuple(line.asked), found[0].heading if found else "")]
    return [
        Clause(f"{one.section}.{one.place}", one.text, tuple(line.asked) if at == 0 else (), one.heading)
        for at, one in enumerate(found)
    ]


def _group(line: ClauseLine, edition: Edition) -> _Group:
    """The document of a line: its section, the one that it names, or its own."""
    title = line.section or line.title or line.document or line.id
    status = line.status or "approved"
    for_staff = is_titled_internal(title) or (line.status is None and is_for_staff(line.text))
    window = window_of(title, line.text) if line.title is not None else None
    said_days = line.effective is not None or line.expires is not None
    first, after = window if window and not said_days else (None, None)
    return _Group(
        name=line.document or line.section or line.id,
        title=title,
        version=line.version or edition.version,
        region=line.region or edition.region,
        status="private" if status == "approved" and for_staff else status,
        effective_on=line.effective or first or edition.effective_on,
        expires_on=line.expires or after,
    )


def _names(groups: Iterable[_Group]) -> dict[_Group, str]:
    """An id for each document. It follows from the name, the region and the status, so that versions share it and a
    later one takes an earlier one's place; with a hash where names have one slug, or documents of a version one id."""
    slugs = {group: re.sub(r"[^a-z0-9]+", "-", group.name.lower()).strip("-")[:100] for group in groups}
    names: dict[str, set[str]] = defaultdict(set)
    for group, slug in slugs.items():
        names[slug].add(group.name)
    ids: dict[_Group, str] = {}
    for group, slug in slugs.items():
        alone = slug and len(names[slug]) == 1
        parts = [slug or "section"] + ([] if alone else [digest(group.name)[:8]])
        parts += [] if group.status == "approved" else [group.status]
        parts += [] if group.region == _ANYWHERE else [group.region.lower()]
        ids[group] = "-".join(parts)
    taken: set[tuple[str, int]] = set()
    for group in sorted(ids, key=lambda one: (one.expires_on is not None, one.effective_on)):
        if (ids[group], group.version) in taken:
            days = [group.effective_on.isoformat(), str(group.expires_on), group.title]
            ids[group] = f"{ids[group]}-{digest(days)[:8]}"
        taken.add((ids[group], group.version))
    return ids


def _document(
    name: str, group: _Group, clauses: list[Clause], stated: list[dict[str, object]]
) -> PolicyDocument:
    numbers = {clause.number for clause in clauses}
    rules = tuple(rule for rule in stated if rule["clause"] in numbers)
    words = [[clause.number, clause.quote] for clause in clauses]
    return PolicyDocument(
        document_id=name,
        version=group.version,
        title=group.title,
        region=group.region,
        status=group.status,
        effective_on=group.effective_on,
        expires_on=group.expires_on,
        rules=rules,
        clauses=tuple(clauses),
        sha256=digest([group.title, words, list(rules)]),
    )


def _rules(file: Path) -> Iterator[dict[str, object]]:
    for number, value in _lines(file):
        if not isinstance(value, dict):
            raise BadDocument(f"{file.name}:{number}: a rule is one JSON object")
        yield value


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadDocument(f"{file.name}: not UTF-8") from None


def _lines(file: Path) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(_text(file).split("\n"), start=1):
        if line.strip():
            try:
                yield number, read_json(line)
            except BadJson as error:
                raise BadDocument(f"{file.name}:{number}: {error}") from None
