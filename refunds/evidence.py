"""Evidence: a verbatim clause of an approved document, or that there is none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Citation:
    """One clause that an answer rests on."""

    citation_id: str
    """Document and version, as `return-policy-us-v3`."""

    document_id: str
    version: int
    clause: str
    quote: str
    """The clause's own words, to the letter."""

    def to_json(self) -> dict[str, object]:
        return {
            "citation_id": self.citation_id,
            "document_id": self.document_id,
            "version": self.version,
            "clause": self.clause,
            "quote": self.quote,
        }

    @classmethod
    def of_json(cls, value: dict[str, object]) -> "Citation":
        return cls(
            citation_id=str(value["citation_id"]),
            document_id=str(value["document_id"]),
            version=int(str(value["version"])),
            clause=str(value["clause"]),
            quote=str(value["quote"]),
        )


@dataclass(frozen=True, slots=True)
class Grounded:
    """The question is answered by these clauses, the best first; never empty."""

    citations: tuple[Citation, ...]
    by_rule: bool = False
    """They state what is paid back, and their rules say which of them decides: none of them is an answer yet."""

    def __post_init__(self) -> None:
        if not self.citations:
            raise ValueError("grounded evidence has a citation")


@dataclass(frozen=True, slots=True)
class Abstain:
    """No approved clause in force answers the question."""


Evidence = Grounded | Abstain


def citation_id(document_id: str, version: int) -> str:
    """How a document version is cited."""
    return f"{document_id}-v{version}"
