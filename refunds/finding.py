"""A finding: what code noticed in a text, a request or a draft. It guides a reviewer and decides nothing."""

from dataclasses import dataclass

from refunds.vocabulary import FindingKind

DETAIL_LIMIT = 300
DRAFT_LIMIT = 2_000
"""Characters of a draft that was stopped: who takes over reads it whole."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed; `detail` is in our words or a short excerpt, masked."""

    kind: FindingKind
    detail: str = ""

    def to_json(self) -> dict[str, object]:
        clean = (
            self.detail.encode("utf-8", "replace")
            .decode("utf-8")
            .replace("\x00", "\N{REPLACEMENT CHARACTER}")
        )
        return {
            "kind": self.kind,
            "detail": clean[: DRAFT_LIMIT if self.kind == "stopped_draft" else DETAIL_LIMIT],
        }
