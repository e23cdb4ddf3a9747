"""The policy corpus: documents with numbered clauses in Markdown, read strictly.

---
id: return-policy-us
version: 3
title: Returns and refunds
region: US
status: approved
effective: 2026-01-01
expires: never
rule: {"rule": "change-of-mind", "clause": "4", "window_days": 14}
---
1. A clause is one numbered line.
? The way a customer asks for it, as many lines as there are ways: found by, and never quoted.
"""

import json
import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from refunds.canonical import digest, sha256
from refunds.vocabulary import DocumentStatus

CLAUSE_LIMIT = 2_000
"""Characters of a clause; a quote is shown whole."""

_STATUS: TypeAdapter[DocumentStatus] = TypeAdapter(DocumentStatus)
_HEADER = ("id", "version", "title", "region", "status", "effective", "expires")

DEFAULT_REGION = "US"
"""Whose policy is read where no order says where the customer bought."""


class BadDocument(ValueError):
    """A document breaks the form; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Clause:
    number: str
    quote: str
    asked: tuple[str, ...] = ()
    """Ways in which customers ask for what it says."""

    heading: str = ""
    """The headings that it stands under in its document; found by, and never quoted."""


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """One version of one document; `rules` are the parameters of the refund clauses it states."""

    document_id: str
    version: int
    title: str
    region: str
    status: DocumentStatus
    effective_on: date
    expires_on: date | None
    rules: tuple[dict[str, object], ...]
    clauses: tuple[Clause, ...]
    sha256: str


def found_by(document: PolicyDocument, clause: Clause) -> list[str]:
    """The phrases that a clause is found by: what stands above it, its own words, each way to ask for it."""
    return [f"{document.title} {clause.heading}".strip(), clause.quote, *clause.asked]


def read_document(text: str, name: str) -> PolicyDocument:
    """The document in a Markdown text; BadDocument where it breaks the form."""
    match = re.fullmatch(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL)
    if match is None:
        raise BadDocument(f"{name}:1: no header between two lines of ---")
    header, rules = _read_header(match[1], name)
    clauses = _read_clauses(match[2], name, first_line=match[1].count("\n") + 4)
    numbers = {clause.number for clause in clauses}
    for rule in rules:
        if not isinstance(rule.get("clause"), str) or rule["clause"] not in numbers:
            raise BadDocument(f"{name}: a rule names clause {rule.get('clause')}, which is not there")
    if any(not clause.quote.isprintable() for clause in clauses) or not header.get("title", "").isprintable():
        raise BadDocument(f"{name}: a control character in it")
    try:
        if not re.fullmatch(r"[!-~]{1,128}", header["id"]) or not 0 < int(header["version"]) < 2**31:
            raise BadDocument(f"{name}: id is visible ASCII and version a number from 1 on")
        if header["expires"] != "never" and header["expires"] <= header["effective"]:
            raise BadDocument(f"{name}: it expires before it is in force")
        return PolicyDocument(
            document_id=header["id"],
            version=int(header["version"]),
            title=header["title"],
            region=header["region"],
            status=_STATUS.validate_python(header["status"]),
            effective_on=date.fromisoformat(header["effective"]),
            expires_on=None if header["expires"] == "never" else date.fromisoformat(header["expires"]),
            rules=tuple(rules),
            clauses=tuple(clauses),
            sha256=sha256(_promised(text)),
        )
    except KeyError as error:
        raise BadDocument(f"{name}: no {error.args[0]} in the header") from None
    except BadDocument:
        raise
    except ValidationError:
        raise BadDocument(f"{name}: status: not a status of a document: {header['status']}") from None
    except ValueError as error:
        raise BadDocument(f"{name}: {error}") from None


def _promised(text: str) -> str:
    """The text without the ways to ask for it: better words to find a clause by make no other clause of it."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("? "))


def _read_header(text: str, name: str) -> tuple[dict[str, str], list[dict[str, object]]]:
    header: dict[str, str] = {}
    rules: list[dict[str, object]] = []
    for number, line in enumerate(text.splitlines(), start=2):
        key, colon, value = line.partition(": ")
        if key == "rule" and colon:
            try:
                rule = json.loads(value)
            except ValueError:
                rule = None
            if not isinstance(rule, dict):
                raise BadDocument(f"{name}:{number}: a rule is one JSON object")
            rules.append(rule)
        elif key in _HEADER and colon and key not in header:
            header[key] = value.strip()
        else:
            raise BadDocument(f"{name}:{number}: not a line of a header: {line!r}")
    return header, rules


def _read_clauses(text: str, name: str, first_line: int) -> list[Clause]:
    clauses: list[Clause] = []
    for number, line in enumerate(text.splitlines(), start=first_line):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("? ") and clauses and len(line) <= CLAUSE_LIMIT:
            before = clauses[-1]
            clauses[-1] = replace(before, asked=(*before.asked, line[2:].strip()))
            continue
        match = re.fullmatch(r"(\d+(?:\.\d+)*)\. (\S.*)", line)
        if match is None or len(line) > CLAUSE_LIMIT:
            raise BadDocument(
                f"{name}:{number}: a clause is one numbered line of at most {CLAUSE_LIMIT} characters"
            )
        clauses.append(Clause(match[1], match[2].strip()))
    if len({clause.number for clause in clauses}) != len(clauses) or not clauses:
        raise BadDocument(f"{name}: clauses are numbered, each once, and there is at least one")
    return clauses


def read_corpus(folder: Path) -> tuple[PolicyDocument, ...]:
    """Every document of a folder, by file name; BadDocument for the first that breaks the form."""
    files = sorted(file for file in folder.glob("*.md") if file.is_file())
    try:
        documents = tuple(read_document(file.read_text(encoding="utf-8"), file.name) for file in files)
    except UnicodeDecodeError:
        raise BadDocument(f"{folder}: a file is not UTF-8") from None
    if not documents:
        raise BadDocument(f"{folder}: no .md file")
    return documents


def corpus_sha256(folder: Path) -> str:
    """The hash of a corpus: of every file's name and text."""
    return digest({file.name: sha256(file.read_text(encoding="utf-8")) for file in folder.glob("*.md")})
