"""Answering: whether a clause answers what was asked, besides being near it. A score alone never grounds.

How long wants a time, how much wants a sum, and a question about another place is answered by that place's policy or
by none. A text in which somebody gives orders or writes code is no question.
"""

import re
from typing import Literal

Wanted = Literal["time", "sum", "any"]

_TIME_ASKED = re.compile(
    r"\b(?:how long|how many (?:\w+ )?(?:days|weeks|months|years|hours)|how soon|how fast|"
    r"until when|by when|when (?:do|does|will|is|are|was|must|can|should)|"
    r"what is the deadline|how late|how old|within how)\b",
    re.IGNORECASE,
)
_SUM_ASKED = re.compile(
    r"\b(?:how much|how expensive|how high|what (?:do|does|is|are|will|would|did) .{0,60}"
    r"\b(?:costs?|price|fee|pay)|price of)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|thirty|same|next|first|last|every|each|any|"
    r"working|business|calendar)\s+(?:\w+\s+)?(?:minute|hour|day|week|month|year|time)s?\b|\b(?:before|after|once|when|until|"
    r"at once|immediately|as soon as|on the day|expire|do not expire|never)\b",
    re.IGNORECASE,
)
_SUM = re.compile(
    r"\b(?:USD|EUR|GBP|per ?cent|free|costs?|price|paid|pays?|charge\w*|fee|refund\w*|deduct\w*|no more than|"
    r"value|full)\b|%|\d",
    re.IGNORECASE,
)

_PLACES: dict[str, re.Pattern[str]] = {
    "US": re.compile(
        r"\b(?:usa?|america\w*|united states|federal|usd|dollars?|texas|california|new york|florida|chicago|boston|"
        r"seattle|ohio|nevada|oregon)\b",
        re.IGNORECASE,
    ),
    "UK": re.compile(
        r"\b(?:uk|united kingdom|britain|british|england|english|scotland|scottish|wales|gbp|pounds? sterling|"
        r"london|leeds|manchester|glasgow|cardiff|bristol|edinburgh|belfast|consumer rights act)\b",
        re.IGNORECASE,
    ),
    "EU": re.compile(
        r"\b(?:eu|europe\w*|eur|euros?|germany|german|france|french|spain|spanish|italy|italian|netherlands|dutch|portugal|"
        r"ireland|irish|austria|belgium|poland|sweden|denmark|finland|greece|berlin|munich|hamburg|paris|lyon|madrid|"
        r"barcelona|rome|milan|lisbon|vienna|amsterdam|dublin|brussels|warsaw|athens)\b",
        re.IGNORECASE,
    ),
    "elsewhere": re.compile(
        r"\b(?:japan\w*|india\w*|china|chinese|canad\w*|australia\w*|brazil\w*|mexic\w*|switzerland|swiss|norw\w+|"
        r"turkey|turkish|russia\w*|ukrain\w*|israel\w*|korea\w*|singapore|new zealand|south africa\w*|tokyo|toronto|"
        r"sydney|mumbai|zurich)\b",
        re.IGNORECASE,
    ),
}
_ACRONYMS = re.compile(r"\bUS\b|\bU\.S\.")
_CODE = re.compile(
    r"<[a-z/!]|[{}\[\]]|--\s*$|;\s*--|\b(?:select|update|insert|delete|drop)\b.{0,40}\b(?:from|set|into|table)\b|"
    r"\\n|://",
    re.IGNORECASE,
)


def wanted_of(question: str) -> Wanted:
    """What kind of answer a question asks for."""
    if _TIME_ASKED.search(question):
        return "time"
    return "sum" if _SUM_ASKED.search(question) else "any"


def answers(question: str, quote: str) -> bool:
    """Whether a quote is of the kind that a question asks for."""
    match wanted_of(question):
        case "time":
            return _TIME.search(quote) is not None
        case "sum":
            return _SUM.search(quote) is not None
        case "any":
            return True


def asks_elsewhere(question: str, region: str) -> bool:
    """Whether a question names another place than the one whose policy is asked."""
    named = {place for place, pattern in _PLACES.items() if place != "US" and pattern.search(question)}
    american = _PLACES["US"].search(re.sub(r"\bus\b", " ", question)) or _ACRONYMS.search(question)
    if american:
        named.add("US")
    return bool(named) and region not in named


def is_code(question: str) -> bool:
    """Whether a text is written for a machine."""
    return _CODE.search(question) is not None
