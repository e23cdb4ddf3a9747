"""Hygiene: what a text is before it is worked on. Recognised, flagged to the reviewer and counted; never relied on.

What cannot be worked on by itself has a reason to go to a person: another language, a pasted document. An
injection that none of the patterns knows is as harmless: nothing that a text says is ever done.
"""

import re
from dataclasses import dataclass

from policies.languages import LANGUAGES, Language, language_of
from policies.reading.plain import has_markup, plain_of
from refunds.finding import Finding

PASTED_FROM = 3_500
"""Characters from which a text with the look of a document is one."""

PASTED_LINES = 40

_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")

_PATTERNS: dict[str, str] = {
    "sets instructions aside": r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
    r"\b(?:instruction|prompt|rule|polic|guard|previous|above)",
    "gives a role": r"\b(?:you are now|act as|pretend (?:to be|you)|roleplay|developer mode|jailbreak|DAN\b)",
    "speaks as the system": r"(?:^|\n)[ \t]{0,20}(?:#{1,6}[ \t]{0,4})?(?:system|assistant|developer|tool)"
    r"[ \t]{0,4}(?::|\]|>)|<\|?(?:im_start|system|endoftext)|\[/?INST\]",
    "asks for the prompt": r"\b(?:reveal|print|show|repeat|output)\b.{0,40}"
    r"\b(?:system prompt|instructions|hidden|secret|api key)",
    "names a tool": r"\b(?:issue_refund|lookup_order|get_policy_evidence|draft_reply|request_human_approval|"
    r"function_call|tool_call)\b",
    "orders a payment": r"\b(?:approve|pay|transfer|wire|issue|grant)\b.{0,30}"
    r"\b(?:immediately|now|without (?:review|approval)|in full)",
    "forges an approval": r"\b(?:already|pre-?)\s?approved\b|"
    r"\bapproved by (?:the )?(?:manager|admin|supervisor|system)",
    "hides text": r"\b(?:base64|rot13|unicode tag)\b|[A-Za-z0-9+/]{120,}={0,2}",
}
INJECTIONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for name, pattern in _PATTERNS.items()
)


_TRADE = re.compile(
    r"\b(?:order\w*|refund\w*|return\w*|deliver\w*|ship\w*|parcel\w*|package\w*|item\w*|pa(?:y|id)\w*|pric\w*|cost\w*|"
    r"polic\w*|account\w*|cancel\w*|exchang\w*|warrant\w*|guarant\w*|broke\w*|damag\w*|crack\w*|defect\w*|fault\w*|"
    r"money|bought|buy\w*|purchas\w*|receipt\w*|invoic\w*|gift\w*|coupon\w*|vouch\w*|discount\w*|card\w*|stock|"
    r"size\w*|missing|late|arriv\w*|courier\w*|track\w*|subscri\w*|charg\w*|shop\w*|store\w*|send|sent|box\w*)\b",
    re.IGNORECASE,
)
"""Words without which a text is hardly about a shop."""

WORDS_FROM = 6


@dataclass(frozen=True, slots=True)
class Looked:
    """A text as it is worked on, with what was noticed."""

    text: str
    findings: tuple[Finding, ...]
    language: Language | None
    """None where the text does not say."""

    goes_to: str | None = None
    """The reason with which a person takes it; None where the agent may."""


def look_at_text(text: str) -> Looked:
    """What a customer's text is."""
    findings: list[Finding] = []
    clean = plain_of(text).text.strip() or text
    if clean != text and has_markup(text):
        findings.append(Finding("html", "tags were taken out"))
    if len(_INVISIBLE.findall(text)) > 2:
        findings.append(Finding("injection_pattern", "hides text"))
    findings += injections(f"{clean}\n{text}" if clean != text else text)
    said = language_of(clean)
    language: Language | None = said if said in LANGUAGES else None
    goes_to = None
    if said is not None and said != "en":
        findings.append(Finding("other_language", said))
        goes_to = "other_language"
    elif len(clean.split()) >= WORDS_FROM and not _TRADE.search(clean):
        findings.append(Finding("off_topic", "no word of a shop in it"))
    if is_pasted(clean):
        findings.append(Finding("pasted_document", f"{len(clean)} characters"))
        goes_to = goes_to or "pasted_document"
    return Looked(clean, tuple(findings), language, goes_to)


def injections(text: str) -> list[Finding]:
    """The patterns of injection in a text, each once."""
    return [Finding("injection_pattern", name) for name, pattern in INJECTIONS if pattern.search(text)]


def is_pasted(text: str) -> bool:
    """Whether a text has the look of a document: long, of many lines or of few words that ask."""
    lines = text.count("\n") + 1
    return len(text) >= PASTED_FROM and (lines >= PASTED_LINES or "?" not in text[:PASTED_FROM])
