"""Ratings: a thumb and a word of the customer, by a link that only shows a form; the form's own post writes it down."""

from dataclasses import dataclass
from uuid import UUID

from itsdangerous import BadSignature, URLSafeTimedSerializer

from desk.catalogue import _
from desk.notes import BadDecision, check_note
from records.books import Books
from refunds.ids import CaseId, TenantId
from refunds.vocabulary import Thumb

DAYS = 60
WORD_LIMIT = 500
RATED = frozenset({"refunded", "replied", "rejected"})
"""Outcomes whose letter asks for a thumb."""


class NoSuchLink(Exception):
    """The link was changed on the way, or is too old."""

    def __init__(self) -> None:
        super().__init__("this link is not valid any more")


@dataclass(frozen=True, slots=True)
class Ratings:
    """The links, signed, and what comes back by them."""

    books: Books
    secret: str
    public_url: str

    def link(self, tenant: TenantId, case_id: CaseId) -> str:
        """The address of the form for a case; it says nothing about the case to who reads it."""
        return f"{self.public_url}/rate/{self._signer().dumps([tenant, str(case_id)])}"

    def read(self, token: str) -> tuple[TenantId, CaseId]:
        """The case of a link. Raises NoSuchLink."""
        try:
            said = self._signer().loads(token, max_age=DAYS * 86_400)
            tenant, case_id = said
            return TenantId(tenant), CaseId(UUID(case_id))
        except (BadSignature, ValueError, TypeError):
            raise NoSuchLink from None

    async def rate(self, token: str, thumb: Thumb, word: str) -> bool:
        """Write a rating down; False where the case has one. Raises NoSuchLink, BadDecision."""
        tenant, case_id = self.read(token)
        check_note(word, "word")
        if len(word) > WORD_LIMIT:
            raise BadDecision(_("word: at most %(most)s characters", most=WORD_LIMIT))
        async with self.books.transaction(tenant) as tx:
            return await tx.row("insert_rating", case_id=case_id, thumb=thumb, word=word.strip()) is not None

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secret, salt="countersign rating")
