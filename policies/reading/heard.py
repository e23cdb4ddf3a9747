"""What is heard: the statements of a customer's own words, with what the bundle and the names in them say."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from policies.reading.bundle import Head
from policies.reading.goods import NamedThing
from policies.reading.order_numbers import Numbered
from refunds.reading import TextSpan
from refunds.vocabulary import AskKind, Cause, MoneyWish

MONEY_ASKS: frozenset[AskKind] = frozenset({"refund", "cancellation"})
FAULTS: frozenset[Cause] = frozenset({"damaged", "defective"})
SPEAKS_OF_REFUND: frozenset[AskKind] = MONEY_ASKS | {"refund_status"}

ASKED = 0.4
"""The odds from which a statement is taken to ask something."""

ASKED_IN_ALL = 0.6
"""The odds from which a conversation is taken to ask something, all of it weighed together."""

HALF_ASKED = 0.3
"""The same for money that one statement plainly wants; below SURE_IN_ALL a person reads it."""

SURE_IN_ALL = 0.7
"""The odds of an ask for money, all weighed together, below which a person reads it."""

PLAIN = 0.9
"""The odds of one statement that wants money from which the others need not bear it out."""

BEST = 0.3
"""The odds from which it is taken to ask what it most likely does."""

MEANT = 0.5
"""The odds from which it is taken to want money, to refuse it, to give a cause."""

SURE = 0.6
"""The odds of a want for money below which a person reads it."""

SUSPECTED = 0.2
"""The odds from which a refusal or a condition beside a want for money makes it a person's."""

URGENT = 0.05
"""The odds, of all that is said, from which a person must see it at once."""

URGENT_STATED = 0.5
"""The same where somebody has read the ticket and states what it is."""

URGENT_SAID = 0.8
"""The odds of one statement from which it is so whatever else is said."""

GUESSED = 0.2
"""The odds from which an ask is named where a text has no better one."""

SHORT = 4
"""Statements up to which a text is also told as a whole."""

SPOKEN = 0.3
"""The odds from which a short text that asks nothing else speaks of a refund: wanted, promised or asked about."""

CERTAIN = 0.8
"""The odds of a want that no other trade explains."""

ELSEWHERE = 0.7
"""The odds from which a short text is about another trade than a shop's: a transfer, a cash machine."""

LEFTOVER: frozenset[AskKind] = frozenset({"complaint", "other"})
"""Asked only where nothing else is."""

_IT = re.compile(r"\b(?:it|that one|this one|this|that)\b", re.IGNORECASE)
_NO_MONEY = re.compile(
    r"\b(?:no|not|never|without|don't|dont|do not|please don't)\s+(?:\w+\s+){0,2}(?:refund|cancel|reimburse)\w*|"
    r"\b(?:not|never|don't|dont|didn't|wouldn't)\s+(?:want|wish|like|need|intend|plan|mean|going|trying|asking|looking)\w*\s+"
    r"(?:\w+\s+){0,4}(?:refund|cancel|reimburs|return|back)\w*",
    re.IGNORECASE,
)
_KEEPS = re.compile(
    r"\b(?:keep(?:ing)?|hold(?:ing)? on ?to|hang(?:ing)? on ?to)\s+"
    r"(?:the|my|our|your|one|two|three|four|both|all|just|only|that|those|these|a)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|never|no|cannot|can't|cant|don't|dont|won't|wont|wouldn't|couldn't)\b", re.IGNORECASE
)
_NO_FAULT = re.compile(
    r"\b(?:no|not|nothing|never|without|none|isn't|wasn't|aren't|undamaged|unbroken)\b\s*(?:\w+\s+){0,2}"
    r"(?:crack|broke|damag|defect|scratch|shatter|fault|dent|torn)\w*|\bundamaged\b",
    re.IGNORECASE,
)
_A_WORD = re.compile(r"[a-z']+")
_COURTESY = frozenset(
    """
    thanks thank you please pls many very much in advance hi hello hey dear regards kind best wishes cheers
    sorry for the trouble bother inconvenience good morning afternoon evening team sir madam all and a lot so
    """.split()  # noqa: SIM905  (a list of words reads best as one)
)


@dataclass(frozen=True, slots=True)
class Heard:
    """A statement of the customer's own, with what the bundle and the names in it say."""

    text: str
    span: TextSpan
    place: tuple[int, int]
    """The number of its text, and of its sentence in that."""

    odds: dict[Head, dict[str, float]]
    causes: dict[str, float]
    """The odds of each cause, of the whole sentence."""

    features: tuple[str, ...] = ()
    """What it is told by."""

    numbers: tuple[Numbered, ...] = ()
    goods: tuple[NamedThing, ...] = ()
    spans_of_goods: tuple[TextSpan, ...] = ()
    goods_places: tuple[tuple[int, int], ...] = ()
    """Where goods are named, in this statement's own text."""

    def asks(self) -> list[AskKind]:
        """What it asks: the likeliest label where that is no fact, and another one that is as likely."""
        odds = self.odds["ask"]
        best = max(odds, key=lambda label: odds[label])
        named = [
            label for label, chance in odds.items() if chance >= ASKED or (label == best and chance >= BEST)
        ]
        return [label for label in named if label != "none"]  # type: ignore[misc]

    def likeliest_of(self, kinds: Collection[AskKind]) -> AskKind:
        """The one of these that it most likely asks."""
        return max(sorted(kinds), key=lambda kind: self.odds["ask"].get(kind, 0.0))

    def money(self, what: MoneyWish) -> float:
        return self.odds["money"].get(what, 0.0)

    @property
    def understood(self) -> bool:
        """Whether it asks, wants, refuses, gives a cause, or is a number or a courtesy: the rest may mean anything."""
        if self.asks() or self.money("open") < MEANT or self.cause_here:
            return True
        rest = self.text if not self.numbers else ""
        return rest.isascii() and set(_A_WORD.findall(rest.lower())) <= _COURTESY

    @property
    def wants(self) -> bool:
        """Whether it wants money, and no word before that says no."""
        return self.money("wanted") >= MEANT and not self.negates

    @property
    def negates(self) -> bool:
        """Whether a no stands right before the money, whatever the bundle makes of it."""
        return _NO_MONEY.search(self.text) is not None

    @property
    def refuses(self) -> bool:
        """Whether it says that no money is wanted."""
        return self.money("refused") >= MEANT or self.negates

    @property
    def names_goods(self) -> bool:
        return any(not thing.out for thing in self.goods)

    @property
    def says_it(self) -> bool:
        """Whether it means one thing by a pronoun."""
        return _IT.search(self.text) is not None

    @property
    def keeps(self) -> bool:
        """Whether it says of goods that they stay: no refusal of money for what else is named."""
        return bool(self.goods) and (self.refuses or self._says_keep)

    @property
    def _says_keep(self) -> bool:
        found = _KEEPS.search(self.text)
        return found is not None and not _NOT.search(self.text[: found.start()])

    @property
    def denies_fault(self) -> bool:
        """Whether it says that nothing is broken, whatever the bundle makes of it."""
        return _NO_FAULT.search(self.text) is not None

    @property
    def cause_here(self) -> bool:
        """Whether this statement itself gives a cause."""
        odds = self.odds["cause"]
        return any(chance >= MEANT for label, chance in odds.items() if label != "none")

    @property
    def condition(self) -> float:
        return self.odds["condition"].get("true", 0.0)
