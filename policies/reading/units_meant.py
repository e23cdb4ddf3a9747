"""The units that a want for money is about; nothing where the words leave it open, and then what may be meant."""

import re
from collections import Counter
from collections.abc import Sequence

from policies.reading.antecedent import antecedent
from policies.reading.goods import NUMBERS, NamedThing, taken
from policies.reading.heard import Heard
from refunds.ids import LineId
from refunds.order import CustomerOrder, Units, counted
from refunds.reading import TextSpan
from refunds.vocabulary import Cause

_EVERYTHING = re.compile(
    r"\b(?:everything|all of (?:it|them|this|these|that)|the lot|all (?:the )?(?:items|things|goods|products|stuff)|"
    r"(?:the |my |this |that )?(?:whole|entire|complete|full) (?:order|purchase|thing|lot|parcel|package|shipment)|"
    r"all (?:my |the |of )?(?:\w+ )?orders|it all|them all|the rest|all items|every ?thing|every item)\b",
    re.IGNORECASE,
)

_OBJECT = re.compile(
    r"\b(?:return(?:ing)?|refund(?:ed|ing)?(?: me)?(?: (?:for|on|of))?|cancel(?:ling|ing)?|"
    r"(?:money |cash )?back (?:for|on)|(?:money|cash) for|"
    r"(?:send|sending|take|give|giving|bring|bringing) back|rid of|label for|only|and)\s+"
    r"(?:the|my|our|this|that|these|those|both|one of (?:the|my|our|these|those)|one|all(?: the| my)?|"
    r"\d+|two|three|four)\s+"
    r"(?:(?:two|three|other|second|whole|broken|faulty|damaged|wrong|new|last|first|pair of)\s+)*"
    r"(?P<what>[a-z][a-z'-]{2,})",
    re.IGNORECASE,
)
_NO_GOODS = frozenset(
    """
    order orders item items product products thing things stuff goods one ones money amount price cost costs
    rest lot full whole entire complete payment payments purchase purchases parcel package box delivery
    shipment total difference return returns refund refunds postage shipping credit card account sum value same
    it them everything all cash other others above following first second last two three four five six more
    most wrong right old new original way shop store bank moment paypal visa mastercard label fee charge
    service customer team support reason fact next day days week weeks month months year today now what which
    who you me us my our your the this that these those a an some any being him her course time times trouble
    help post mail address email reply answer inconvenience bother family wife husband son daughter mother
    father friend birthday christmas holiday money's sale request policy dollars pounds euros bucks dollar
    pound euro cents process processing return's confirmation situation matter problem issue case end beginning
    meantime inconveniences warehouse cart basket checkout website site page app mine yours ours something
    anything nothing immediate asap good free sure please pls plz back nine seven eight ten too for from with
    without are was were and but that's go goes going will would can could as per via onto off yet only both
    either neither each whatever whichever reasons pending open unopened unused unworn sealed boxed intact dead bad good
    broken damaged faulty defective cracked duplicate extra spare remaining leftover missing articles tax
    """.split()  # noqa: SIM905  (a list of words reads best as one)
)
"""Words that name nothing of an order."""

_ONE_OF = re.compile(
    r"\b(?:an?|one|any|some|few|part|half)\s+(?:(?:of|thing|item|product|article|accessor\w+)\b)|"
    r"\b(?:the|that|this) (?:\S+ )?(?:item|product|article|thing)\b|\bsomething\b",
    re.IGNORECASE,
)
_SO_MANY = re.compile(
    r"\b(?P<count>one|two|three|four|five|six|seven|eight|nine|ten|both|some|few|several)\b(?!\s+(?:days?|weeks?|months?|hours?|years?|times?))",
    re.IGNORECASE,
)
_OTHER = re.compile(r"\b(?:other|others|second|last|latter|former|remaining|rest)\b", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|them|these|those|that one|this one)\b", re.IGNORECASE)
_TOO = re.compile(r"\b(?:too|also|as well|plus)\b", re.IGNORECASE)

_SOME_GOODS: frozenset[Cause] = frozenset(
    {"damaged", "defective", "wrong_item", "missing", "not_as_described"}
)
"""Causes that are said of one thing rather than of all."""

Found = tuple[NamedThing, TextSpan]
Units3 = tuple[tuple[Units, ...] | None, tuple[LineId, ...], tuple[TextSpan, ...]]


def _strange(one: Heard) -> bool:
    """Whether a statement asks for something that no line of the customer's orders is called."""
    for match in _OBJECT.finditer(one.text):
        start = match.start("what")
        named = any(
            first <= start < last or start <= first < match.end("what") + 14
            for first, last in one.goods_places
        )
        if not named and match["what"].lower() not in _NO_GOODS and not one.numbers:
            return True
    return False


def units_meant(
    wanted: Sequence[Heard],
    elsewhere: Sequence[Heard],
    heard: Sequence[Heard],
    order: CustomerOrder | None,
    cause: Cause | None,
) -> tuple[tuple[Units, ...] | None, tuple[LineId, ...], tuple[TextSpan, ...]]:
    """The units, those that may be meant where that is open, and the words for it.

    `elsewhere` are the statements of another want for money.
    """
    if order is None:
        return None, (), ()
    places = {one.place for one in wanted}
    last = max(heard.index(one) for one in wanted)
    asked = [
        one
        for at, one in enumerate(heard)
        if one.place in places
        and one not in elsewhere
        and (at <= last or one.text.lower().startswith("and "))
    ]  # "cancel it, I'll enjoy the beans": what a sentence goes on with is not what was wished for
    before = heard[:last]
    heard = [one for one in heard if one not in elsewhere]
    here = _found(asked, order, out=False)
    if cause == "unauthorised" and not here:
        return None, (), ()  # who did not order it wants none of it
    every = _found(heard, order, out=False)
    out = _found(heard, order, out=True)
    everything = any(_EVERYTHING.search(one.text) for one in asked)
    spans = tuple(span for _, span in (*(here or ([] if everything else every)), *out))
    if everything and _found(wanted, order, out=False):
        named = _named(here, every, wanted, heard, order, spans) if here else None
        if named is None or named[0] is None or counted(named[0]) != counted(order_units(order)):
            return left_open(here, order)
        return None, (), spans
    if everything:
        here = []
    first = next((one for one in wanted if one.names_goods), None)
    if first is not None and any(_PRONOUN.search(one.text) for one in wanted[: wanted.index(first)]):
        return left_open(every, order)  # "return them … and the watch, too": what they are stands before
    if any(_strange(one) for one in wanted):
        return left_open(here or every, order)
    if sum(units.quantity for units in order_units(order)) == 1:
        return order_units(order) if here else None, (), spans
    if everything:
        return _all_but(out, wanted, order, spans) or left_open(out or every, order)
    if here:
        return _named(here, every, wanted, heard, order, spans) or left_open(every, order)
    if every and _found([one for one in heard if one in asked or one in before], order, out=False):
        return _pointed_at(every, wanted, heard, order, spans) or left_open(every, order)
    if every:
        return left_open(every, order)  # what is named after a want alone is not what it points to
    about = [one for one in heard if one in asked or one in before or one.cause_here]
    if out or any(_ONE_OF.search(one.text) or _OTHER.search(one.text) for one in about):
        return left_open(out, order)
    some = (len(order.lines) > 1 and cause in _SOME_GOODS) or any(_SO_MANY.search(one.text) for one in wanted)
    return ((), tuple(line.line_id for line in order.lines), ()) if some else (None, (), ())


def _all_but(
    out: Sequence[Found], wanted: Sequence[Heard], order: CustomerOrder, spans: tuple[TextSpan, ...]
) -> Units3 | None:
    """All of the order without what is left out; None where that is not said plainly."""
    whole = counted(order_units(order))
    for thing, _ in out:
        units = thing.units(order)
        if units is None:
            return None
        whole -= counted(units)
    if not out and any(_OTHER.search(one.text) for one in wanted):
        return None
    return (_units(whole, order) if out else None), (), spans


def _pointed_at(
    every: Sequence[Found],
    wanted: Sequence[Heard],
    heard: Sequence[Heard],
    order: CustomerOrder,
    spans: tuple[TextSpan, ...],
) -> Units3 | None:
    """The goods that a want without goods of its own means; None where several may be meant."""
    kinds = _kinds(every, order)
    causes = [one for one in heard if one.cause_here and _found([one], order, out=False)]
    if len(kinds) > 1 and len(causes) == 1 and any(one.says_it for one in wanted):
        every = _found(causes, order, out=False)
        kinds = _kinds(every, order)
    if any(_OTHER.search(one.text) for one in wanted):
        return None
    if len(kinds) == 1:
        return _meant(every, wanted, order, spans)
    pointed = antecedent(wanted, heard, order)
    return (_units(pointed[0], order), (), pointed[1]) if pointed else None


def _kinds(found: Sequence[Found], order: CustomerOrder) -> set[tuple[LineId, ...]]:
    return {tuple(line.line_id for line in thing.of(order)) for thing, _ in found}


def left_open(found: Sequence[Found], order: CustomerOrder) -> Units3:
    """Nothing is read, and what may be meant is suggested."""
    lines = [line.line_id for thing, _ in found for line in thing.of(order)]
    return (), tuple(dict.fromkeys(lines)), tuple(span for _, span in found)


def _found(some: Sequence[Heard], order: CustomerOrder, *, out: bool) -> list[Found]:
    """What statements name of an order; what is named where money is refused stays, too."""
    return [
        (thing, span)
        for one in some
        for thing, span in zip(one.goods, one.spans_of_goods, strict=True)
        if thing.of(order) and (thing.out or one.keeps) is out
    ]


def _named(
    here: Sequence[Found],
    every: Sequence[Found],
    wanted: Sequence[Heard],
    heard: Sequence[Heard],
    order: CustomerOrder,
    spans: tuple[TextSpan, ...],
) -> Units3 | None:
    """What the asking sentence itself names; None where that, or something said elsewhere, leaves it open."""
    total: Counter[LineId] = Counter()
    for thing, _ in here:
        units = thing.units(order)
        if units is None:
            return None
        total |= counted(units)
    for thing, _ in every:
        units = thing.units(order)
        lines = {line.line_id for line in thing.of(order)}
        if (
            lines & set(total)
            and units is not None
            and any(total[n.line_id] not in {0, n.quantity} for n in units)
        ):
            return None
    counts = {
        match["count"].lower()
        for one in wanted
        if not one.names_goods
        for match in _SO_MANY.finditer(one.text)
    }
    units_named = sum(total.values())
    if any((2 if count == "both" else NUMBERS.get(count, 0)) != units_named for count in counts - {"one"}):
        return None
    if any(_OTHER.search(one.text) for one in wanted):
        return None
    more = any(
        _TOO.search(one.text)
        and any(not {line.line_id for line in thing.of(order)} <= set(total) for thing in one.goods)
        for one in heard
        if one.odds["ask"].get("none", 0.0) >= 0.5
    )
    return None if more else (_units(total, order), (), spans)


def _meant(
    every: Sequence[Found], wanted: Sequence[Heard], order: CustomerOrder, spans: tuple[TextSpan, ...]
) -> Units3 | None:
    """What a pronoun means, where a text names one kind of goods alone; so many of it as the asking words say."""
    lines = every[0][0].of(order)
    bought = sum(line.quantity for line in lines)
    counts = {match["count"].lower() for one in wanted for match in _SO_MANY.finditer(one.text)} - (
        {"one"}
        if any("that one" in one.text.lower() or "this one" in one.text.lower() for one in wanted)
        else set()
    )
    said = [thing.units(order) for thing, _ in every]
    told = {units for units in said if units is not None}
    if len(counts) > 1 or len(told) > 1:
        return None
    if not counts:
        return (told.pop(), (), spans) if told and None not in said else None
    number = 2 if counts == {"both"} else NUMBERS.get(counts.pop(), bought + 1)
    units = taken(lines, number) if number <= bought and (number == bought or len(lines) == 1) else None
    return (units, (), spans) if units else None


def order_units(order: CustomerOrder) -> tuple[Units, ...]:
    return tuple(Units(line.line_id, line.quantity) for line in order.lines)


def _units(count: Counter[LineId], order: CustomerOrder) -> tuple[Units, ...]:
    return tuple(Units(line.line_id, count[line.line_id]) for line in order.lines if count[line.line_id] > 0)
