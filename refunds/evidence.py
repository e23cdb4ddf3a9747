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

    alike: Citation | None = None
    """Beside rules, the clause that is all but asked for in the customer's own words; none where no clause is."""

    def __post_init__(self) -> None:
        if not self.citations:
            raise ValueError("grounded evidence has a citation")


@dataclass(frozen=True, slots=True)
class Offer:
    """A clause near a question, for somebody who reads: it is not said that it answers."""

    citation: Citation
    words: tuple[str, ...] = ()
    """The words of the question that it shares."""

    by_words: int | None = None
    by_meaning: int | None = None
    """Its place among all clauses in force by words, and by what an embedding model makes of them; from 1 on."""

    def to_json(self) -> dict[str, object]:
        return {
            "citation": self.citation.to_json(),
            "words": list(self.words),
            "by_words": self.by_words,
            "by_meaning": self.by_meaning,
        }

    @classmethod
    def of_json(cls, value: dict[str, object]) -> "Offer":
        citation, words = value["citation"], value["words"]
        if not isinstance(citation, dict) or not isinstance(words, list):
            raise TypeError("an offer has a citation and words")
        by_words, by_meaning = value["by_words"], value["by_meaning"]
        return cls(
            Citation.of_json(citation),
            tuple(map(str, words)),
            None if by_words is None else int(str(by_words)),
            None if by_meaning is None else int(str(by_meaning)),
        )


@dataclass(frozen=True, slots=True)
class Abstain:
    """It is not known that an approved clause in force answers the question; these are the nearest, the best first."""

    offers: tuple[Offer, ...] = ()


Evidence = Grounded | Abstain


def citation_id(document_id: str, version: int) -> str:
    """How a document version is cited."""
    return f"{document_id}-v{version}"
