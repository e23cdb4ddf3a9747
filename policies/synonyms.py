"""One word for what customers call by many: said of clause and question alike, before either is looked at.

It changes what is found and never what is quoted.
"""

import re
from functools import cache

_SAME: tuple[tuple[str, str], ...] = (
    ("unordered", r"(?:never|not|(?:did|have|had)n['’]t|did\s+not)\s+order(?:ed)?"),
    (
        "return",
        r"(?:send|sent|give|given|hand|bring|ship|post|mail)(?:ing)?\s+"
        r"(?:(?:it|them|this|that|something|one)\s+)?back",
    ),
    (
        "refund",
        r"(?:get|have|want)\s+(?:all\s+)?my\s+money(?:\s+back)?|money\s+back|reimburse\w*|repay\w*|pay\s+me\s+back",
    ),
    ("cancel", r"call(?:ed|ing)?\s+(?:it\s+)?off|abort\w*|stop\s+my\s+order"),
    ("damage", r"broken|broke|crack\w*|shatter\w*|smash\w*|bust(?:ed)?|dent(?:ed|s)?|snapped|torn|ripped|crush\w*"),
    (
        "defective",
        r"faulty|malfunction\w*|dud|(?:does|do|did)(?:n['’]t|\s+not)\s+(?:work|start|turn\s+on)|"
        r"stopped\s+working|gave\s+up",
    ),
    ("exchange", r"swap\w*|trade\s+\w+\s+\w+\s+for"),
    ("parcel", r"packages?|packets?|shipments?|consignments?"),
    ("courier", r"carriers?|drivers?|postman|mailman"),
    ("fault", r"defects?"),
    ("warranty", r"guarantee[ds]?|guaranties"),
    ("coupon", r"(?:promotion|promo|discount|voucher)\s+codes?|coupons?"),
    ("gift", r"presents?"),
    ("phone", r"smartphones?|mobiles?|handsets?|iphones?"),
    ("laptop", r"notebooks?|macbooks?"),
    ("tablet", r"ipads?"),
    ("headphones", r"headsets?|earphones?"),
    ("cost", r"prices?|fees?|expensive|how\s+much|dearer|cheaper"),
    ("postage", r"shipping\s+costs?|delivery\s+charges?|cost\s+of\s+shipping"),
    ("withdraw", r"withdraw(?:n|al|als|ing|s)?|withdrew|cooling-off"),
    (
        "change of mind",
        r"chang(?:e|ed|ing)\s+(?:my|your)\s+mind|second\s+thoughts|regret\w*|no\s+longer\s+want|not\s+want|dislike\w*",
    ),
    ("stolen", r"thie(?:f|ves)|theft|steal\w*|swip(?:ed|e)|disappear\w*"),
    ("spoiled", r"rotten|mould\w*|mold\w*|melted"),
    ("photograph", r"photos?|pictures?|images?"),
    ("carton", r"cardboard|boxe?s?|packaging"),
    ("missing", r"absent|not\s+in\s+the\s+(?:box|carton)|forgot(?:ten)?\s+to\s+include"),
    ("valid", r"run(?:s)?\s+out|expir\w+|good\s+for"),
    ("neighbour", r"neighbors?|next\s+door"),
    ("colour", r"colors?"),
    ("licence key", r"(?:activation|licen[cs]e|game|product)\s+(?:codes?|keys?)"),
    ("swollen", r"bulg\w+|swelled|swell\w*"),
    ("appliance", r"fridges?|refrigerators?|washing\s+machines?|dishwashers?"),
    ("furniture", r"sofas?|couch\w*|wardrobes?|armchairs?"),
    ("invoice", r"bills?|receipts?"),
    ("dispute", r"charge-?backs?|reverse\s+(?:the|a)\s+payment"),
    ("complaint", r"complain\w*|unhappy"),
    ("subscription", r"monthly\s+(?:\w+\s+)?plans?"),
    ("clearance", r"outlet"),
    ("late", r"delay(?:ed)?|overdue"),
    ("arrive", r"arriv\w+|turn(?:ed|s)?\s+up|show(?:ed|s)?\s+up|got\s+here|get\s+here"),
    ("dispatch", r"dispatch\w*|despatch\w*|leave\s+your\s+warehouse|left\s+your\s+warehouse|goes\s+out"),
)  # fmt: skip

_GOODS = re.compile(
    r"\b(?:kettles?|toasters?|blenders?|mixers?|lamps?|desk lamps?|socks?|shoes?|boots?|trainers|sneakers|shirts?|"
    r"t-shirts?|jackets?|coats?|dress(?:es)?|skirts?|jeans|trousers|hats?|scar(?:f|ves)|gloves|bags?|backpacks?|suitcases?|mugs?|"
    r"cups?|plates?|pans?|knives|knife|towels?|pillows?|blankets?|rugs?|curtains?|vases?|mirrors?|clocks?|toys?|dolls?|"
    r"board games?|books?|bikes?|bicycles?|helmets?|tents?|balls?|drills?|hammers?|printers?|keyboards?|mouse|"
    r"monitors?|speakers?|chargers?|cables?|vacuum cleaners?|hoovers?|fans?|heaters?|goods|products?|articles?|"
    r"stuff|purchases?|gadgets?|devices?)\b",
    re.IGNORECASE,
)
"""Goods that no clause tells from another: each is an item."""

_COMMAND = re.compile(
    r"\b(?:repeat after me|pretend|act as|you are (?:now|a)\b|developer mode|system prompt|new instructions?|"
    r"(?:ignore|forget|override|disregard)\s+(?:all|any|the|your|previous)|"
    r"(?:quote|cite|print|output|reveal|show me)\s+(?:the|every|a|rival\w*|return-\w*)\b|"
    r"^\s*(?:approve|pay|transfer|grant)\b[^?]*$|"
    r"^\s{0,20}(?:mark|take|give|let|refund)\b[^?]{0,400}?(?:\d|\bmoney\b|\bagent\b|refunded|everything)[^?]*\Z|"
    r"(?:say|confirm|agree|admit)\s+that|reply only|simulate|as your administrator|you must (?:obey|pay))",
    re.IGNORECASE,
)

_CHATTER = re.compile(
    r"\b(?:hello|hi|hey|dear|please|thanks?|thank|you|want|wants|would|like|could|can|may|might|shall|get|gets|got|know|"
    r"tell|need|needs|needed|possible|possibly|wonder\w*|question|ask|asked|say|says|said|still|also|really|just|even|"
    r"honestly|already|now|way|thing|things|something|somebody|someone|anything|make|made|go|goes|come|comes|let|put|"
    r"able|ok|okay|fine|sure|right|happens?|mean|means|long|many|much|one|two|else|new|old|day|days|time|times)\b",
    re.IGNORECASE,
)


def commands_the_agent(text: str) -> bool:
    """Whether a text tells the agent what to say or to be: that is no question, and a person reads it."""
    return _COMMAND.search(text) is not None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((word, re.compile(rf"\b(?:{same})\b", re.IGNORECASE)) for word, same in _SAME)


def in_our_words(text: str) -> str:
    """A text with the policy's word for each that means the same, and without the words that say nothing."""
    for word, pattern in _patterns():
        text = pattern.sub(word, text)
    text = _GOODS.sub("item", text)
    return " ".join(_CHATTER.sub(" ", text).split())
