"""The cause: what a customer's words say of why something comes back, and what they leave open."""

import re
import unicodedata
from collections.abc import Iterable

_DAMAGE = re.compile(
    r"\b(crack\w*|broke\w*|damag\w*|defect\w*|shatter\w*|faulty|dead on arrival|does(?:n't| not) (?:work|turn on))\b",
    re.IGNORECASE,
)
_NO_DAMAGE = re.compile(
    r"(?:\b(?:no|not|never|nothing|without|none)|n['’]t)\s+(?:(?:is|was|been|be|at|all|any|a|the|really|it)\s+){0,3}"
    r"(?:crack|broke|damag|defect|shatter|fault)\w*|\bundamaged\b"
    r"|\b(?:is|are|was|were|looks?|works?|working)\s+(?:\w+\s+)?(?:fine|okay|ok|intact|perfect\w*|unharmed|well)\b",
    re.IGNORECASE,
)
_CANCEL = re.compile(
    r"\b(cancel\w*|no longer (?:need\w*|want\w*)(?!\s+(?:e-?mails?|mails?|newsletters?|calls?|to)\b)|"
    r"ordered (?:\w+ ){0,4}by mistake)\b",
    re.IGNORECASE,
)
_NO_CANCEL = re.compile(
    r"(?:\b(?:no|not|never|without|instead of|undo|undoing|reverse|reversing)|n['’]t)"
    r"(?:\s+(?!possible|available|able|if|then|otherwise|but|so|just|please)\w+){0,6}\s+cancel\w*|"
    r"\b(?:do not|never|don['’]t),[^,.!?]*,\s*cancel|"
    r"\bwhy\b[^.?!]*\bcancel\w*|\bcancel\w*[^.?!]*\?\s*no\b|\bkeep it\b",
    re.IGNORECASE,
)

_NO_MONEY = re.compile(
    r"(?:\b(?:no|not|never|without|instead of|rather than)|n't)\s+(?:\w+\s+){0,5}"
    r"(?:refund\w*|money back|reimburs\w*)\b",
    re.IGNORECASE,
)

_CREDIT = re.compile(
    r"\b(?:store|shop) credit\b|\b(?:voucher|gift card|coupon)\b[^.?!]{0,30}\binstead\b"
    r"|\binstead\b[^.?!]{0,30}\b(?:voucher|gift card|coupon)\b",
    re.IGNORECASE,
)

# Words that tell nothing of how the goods are: of asking, of changing one's mind, of time, and the small ones.
_PLAIN = frozenset(
    """
    a about after again ago all also am an and another any anymore anyone are aren as asap ask asking at back be
    because been before best birthday bought bring but buy by bye came can cancel cancellation cancelled card
    change changed color colour could couldn customer d day days dear decided decision delivered delivery did
    didn do does doesn doing don each else email even ever everything family fit fits fitting for found friday
    friend from full gift give given glad go going got had has hasn have haven having he hello help her here hey
    hi him his hope how however husband i if immediately in instead interested into is isn it item items its
    just keep keeping kind kindly know large larger last later leave let like little ll long longer m made make
    many may me mind mine mistake mom monday money month months more morning mother much must my name need
    needed needs next no none not nothing now number of offer once one ones only or order ordered orders other
    our out over own paid parcel past pay payment person please possible prefer present price probably process
    product products purchase purchased put question quick quickly re really reason received recent recently
    refund refunded refunds regards request requested requesting return returned returning returns s said same
    saturday say see sell send sending sent she simply since size small smaller so some somebody someone
    something son soon sooner sorry still store sunday support sure t take takes team tell than thank thanks
    that the their them then there these they thing things think this those thought thursday time tired to today
    told tomorrow too tried tuesday us ve very want wanted wants was wasn way we wednesday week weekend weeks
    went were weren what when where whether which while who why wife will wish with without would wouldn year
    years yes yesterday yet you your yours
    """.split()  # noqa: SIM905  (a list of words reads best as one)
)
_ASKING = re.compile(
    r"\b(?:get|have) (?:(?:my|the) money|(?:a|my|the) (?:full )?refund)\b"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten) (?:days?|weeks?|months?)\b",
    re.IGNORECASE,
)
"""What asks or tells the time by words that say something else elsewhere."""

_LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def says_damaged(text: str) -> bool:
    """Whether a text claims damage; one that also says that there is none is for a person to read."""
    plain = _straight(text)
    return _DAMAGE.search(plain) is not None and _NO_DAMAGE.search(plain) is None


def says_cancel(text: str) -> bool:
    """Whether a text asks for a cancellation, or gives a reason for one; who also says not to is read by a person."""
    plain = _straight(text)
    return _CANCEL.search(plain) is not None and _NO_CANCEL.search(plain) is None


def refuses_money(text: str) -> bool:
    """Whether a text says no to a refund, or wants something in its place: a person reads what it is."""
    return _NO_MONEY.search(_straight(text)) is not None


def says_credit(text: str) -> bool:
    """Whether a text speaks of store credit, or of a voucher in place of money: a person reads which is wanted."""
    return _CREDIT.search(text) is not None


def leaves_cause_open(text: str, names: Iterable[str]) -> bool:
    """Whether a text says anything beside asking and naming: what that is may be damage, in words that nobody listed.

    `names` are those of the goods and of the order.
    """
    if any(unicodedata.category(letter) == "So" for letter in text):
        return True
    known = {word.lower() for name in names for word in _LETTERS.findall(name)}
    for word in _LETTERS.findall(_ASKING.sub(" ", text)):
        parts = re.split(r"['’]", word.lower())
        if not ({*parts, word.lower(), parts[0].removesuffix("s")} & known or set(parts) <= _PLAIN):
            return True
    return False


def _straight(text: str) -> str:
    """With apostrophes of one kind: what a phone types and what a keyboard types say the same."""
    return text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("\N{MODIFIER LETTER APOSTROPHE}", "'")
