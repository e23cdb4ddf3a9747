"""Languages: in which one a text is written, by the small words that each is full of. Enough to route by."""

import re
from typing import Literal, get_args

Language = Literal["en", "de", "fr", "es", "it", "nl", "pt"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT: Language = "en"

WORDS_FROM = 4
"""A text with fewer words is in no language that could be told."""

AHEAD = 1.5
"""How many times more small words of another language than of ours say that it is that language."""

_SMALL: dict[Language, str] = {
    "en": """
        a after an and are as at be been before but can do does for from has have how i if in is it just me
        my no not of on or please that the there they this to want was we what when where will with would
        you your
    """,
    "de": """
        aber auch auf bei bitte das dass dem den der die ein eine einen es für habe hat ich ihr ihre im in
        ist kann mein meine mir mit möchte nach nicht noch oder sie sind und von wann war was wenn wie wir
        wo wurde zu
    """,
    "fr": """
        a ai au aux avec ce cette comment dans de des du elle en est et il je la le les ma mais mes mon ne
        nous ou où pas peut pour quand que qui quoi si sont sur un une votre voudrais vous était été
    """,
    "es": """
        al con cuándo cómo de del dónde el en era es esta este favor fue ha he la las lo los me mi mis más
        no nosotros o para pero por puede que quiero se si son su un una usted y yo
    """,
    "it": """
        al anche che come con del della di dove e era favore gli ha ho il in io la le lo ma mi mia mio noi
        non o per può quando questa questo se si sono stato su un una voi vorrei è
    """,
    "nl": """
        aan als bij dat de deze een en er graag heb heeft het hoe ik in is kan maar met mijn naar niet nog
        of om ook op te u uw van voor waar wanneer was wat wij wil zijn
    """,
    "pt": """
        a ao as com como da de do e em era esta este está eu favor foi mais mas meu minha não nós o onde os
        ou para pode por quando que quero se seu são tem tenho um uma você é
    """,
}
_WORDS: dict[Language, frozenset[str]] = {
    language: frozenset(words.split()) for language, words in _SMALL.items()
}
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿĀ-ſ]")


def language_of(text: str) -> Language | Literal["other"] | None:
    """The language of a text; `other` for another script or another language, None where it is too short to say."""
    letters = _LETTER.findall(text)
    if letters and len(_LATIN.findall(text)) < len(letters) / 2:
        return "other"
    words = re.findall(r"[^\W\d_]+", text.lower())
    if len(words) < WORDS_FROM:
        return None
    counts = {language: sum(word in small for word in words) for language, small in _WORDS.items()}
    best = max(counts, key=lambda language: counts[language])
    if counts[best] == 0:
        return None
    return best if counts[best] > AHEAD * counts[DEFAULT] else DEFAULT


def small_words(text: str, language: str) -> float:
    """The share of a text's words that are small words of a language; 0 for one that is not known here."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    small = next((small for known, small in _WORDS.items() if known == language), frozenset[str]())
    return sum(word in small for word in words) / len(words) if words else 0.0
