"""Texts: words without case, article, quotation marks and closing punctuation."""

from __future__ import annotations

import re
from functools import lru_cache

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.statement import unhedged

_ARTICLES = pattern(
    r"^(?:the|a|an|der|die|das|ein|eine|le|la|les|un|une|l'|el|los|las|il|lo|gli|o|os)\s+(?=\S)"
)
_BRACKETS = pattern(r"\s*[(\[][^()\[\]]{0,80}[)\]]")
_TITLES = pattern(
    r"^(?:(?:mr|mrs|ms|dr|prof|sir|saint|president|professor|king|queen|captain|lord|lady"
    r"|st|city of|the city of|mount|lake|herr|frau|señor|señora|monsieur|madame|general"
    r"|emperor|pope|prince|princess|senator)\.?\s+)+(?=\S)"
)
_CLASS = pattern(
    r"(?<=\w) (?:rivers?|oceans?|deserts?|mountains?|mountain range|dynasty|theorem|peninsula"
    r"|archipelago)$"
)
"""What kind of thing a name names: `the Amazon River` is the Amazon."""
_MAKER = pattern(r",?\s+(?:by|von|par|por|di)\s+(?:[A-Z][\w.'-]*\s?){1,4}$")
_DASHES = pattern(r"[\u2010-\u2015-]")
_COUNTRIES = frozenset(
    [
        "france",
        "germany",
        "italy",
        "spain",
        "portugal",
        "england",
        "uk",
        "united",
        "kingdom",
        "scotland",
        "ireland",
        "wales",
        "usa",
        "us",
        "united",
        "states",
        "united",
        "states",
        "of",
        "america",
        "america",
        "canada",
        "mexico",
        "brazil",
        "argentina",
        "chile",
        "peru",
        "colombia",
        "russia",
        "ukraine",
        "poland",
        "austria",
        "switzerland",
        "netherlands",
        "the",
        "netherlands",
        "belgium",
        "denmark",
        "norway",
        "sweden",
        "finland",
        "iceland",
        "greece",
        "turkey",
        "egypt",
        "morocco",
        "kenya",
        "nigeria",
        "ethiopia",
        "south",
        "africa",
        "india",
        "china",
        "japan",
        "south",
        "korea",
        "korea",
        "thailand",
        "vietnam",
        "indonesia",
        "australia",
        "new",
        "zealand",
        "hungary",
        "romania",
        "bulgaria",
        "serbia",
        "croatia",
        "czech",
        "republic",
        "czechia",
        "israel",
        "iran",
        "iraq",
        "saudi",
        "arabia",
        "pakistan",
        "bangladesh",
        "cuba",
        "california",
        "texas",
        "new",
        "york",
        "ontario",
        "europe",
        "asia",
        "africa",
    ]
)
_LONG_COUNTRIES = (
    "united kingdom",
    "united states",
    "united states of america",
    "the united states",
    "south africa",
    "new zealand",
    "south korea",
    "saudi arabia",
    "czech republic",
    "the netherlands",
    "new york",
)


@record
class Words:
    """A text as its words; `whole` is the text before details were cut."""

    words: str
    whole: str


@lru_cache(maxsize=512)
def plain_words(text: str) -> str:
    """The words that count: no case, article, quotation marks, closing punctuation.

    >>> plain_words('"The Eiffel Tower."'), plain_words("H_2O") == plain_words("h2o")
    ('eiffel tower', True)
    """
    text = (
        text.casefold()
        .replace("_", "")
        .replace("{", "")
        .replace("}", "")
        .replace("^", "")
        .replace("\\", "")
    )
    text = _DASHES().sub(" ", text)
    text = text.strip(" \t\n\"'`*.,;:!?()[]\u3002\uff01\u2026")
    text = text.replace('"', "").replace("`", "").replace("'s ", "s ").replace("'", "")
    text = (
        re.sub(r"\s*([,;:.])\s*", r"\1 ", text).replace(",", "").replace(";", "").replace(". ", " ")
    )
    text = _ARTICLES().sub("", " ".join(text.split()))
    return " ".join(text.split())


@lru_cache(maxsize=512)
def forms(text: str) -> frozenset[str]:
    """The spellings that mean the same: with and without brackets, titles, a country behind."""
    found = {plain_words(text)}
    bare = _BRACKETS().sub("", text).strip()
    if bare:
        found.add(plain_words(bare))
    maker = _MAKER().sub("", text)
    if maker:
        found.add(plain_words(maker))
    head, _, tail = text.rpartition(",")
    if head and (plain_words(tail) in _COUNTRIES or plain_words(tail) in _LONG_COUNTRIES):
        found.add(plain_words(head))
    for form in list(found):
        found.add(_TITLES().sub("", form))
    for form in list(found):
        found.add(_CLASS().sub("", form))
    return frozenset(f for f in found if f)


def _gold(text: str) -> Words | None:
    return Words(plain_words(text), text)


def _same(given: Words, gold: Words) -> bool:
    if not gold.words and not plain_words(gold.whole):
        return given.whole.strip() == gold.whole.strip()
    if forms(given.whole) & forms(gold.whole) or _same_list(given.whole, gold.whole):
        return True
    ratio = _RATIO().fullmatch(gold.whole.strip())
    return ratio is not None and _ratio(given.whole) == ratio.groups()


def _given(text: str, gold: Words, comma: bool) -> Words | None:
    del gold, comma
    return Words(plain_words(text), text)


_LIST_WORD = pattern(r"\s*(?:,\s*(?:and|und|et|y|e|и)\s|,|;|&|(?<!\w)(?:and|und|et|и)(?!\w))\s*")
_RATIO = pattern(r"(?<![\d.:])(\d+(?:\.\d+)?)\s*(?::|(?<=\s)to(?=\s))\s*(\d+(?:\.\d+)?)(?![\d:])")


def _parts(text: str) -> list[str]:
    """The items of a list in words: `red and blue`."""
    return sorted(plain_words(p) for p in _LIST_WORD().split(text) if p.strip())


def _same_list(given: str, gold: str) -> bool:
    """Whether two lists in words name the same items: `red, blue` and `red and blue`."""
    wanted = _parts(gold)
    return len(wanted) > 1 and _parts(given) == wanted


def _ratio(text: str) -> tuple[str, str] | None:
    """The only ratio of a text: `3 to 4` is `3:4`."""
    found = set(_RATIO().findall(text))
    return found.pop() if len(found) == 1 else None


_STATES = pattern(
    r"'s(?= \w)|(?<!\w)(?:is|are|was|were|be|called|named|known as|calls? (?:it|him|her|them)"
    r"|go(?:es)? with|choose|pick|chose|prefer"
    r"|(?<!followed )(?<!preceded )(?<!succeeded )(?<!beaten )(?<!defeated )(?<!surrounded )"
    r"(?<!replaced )by|ist|war|est|était|es|fue|é|foi|è|era|это|是|は|=|:|in|on"
    r"|(?<!close )(?<!next )(?<!similar )(?<!compared )(?<!opposed )(?<!contrast )to)(?!\w)"
    r"[\s*_\"']*|是|は",
    re.I,
)


def _spoken(text: str, gold: Words, comma: bool) -> Words | None:
    """The sentence, or what it says after a verb or before one, when that is the gold."""
    del comma
    wanted = forms(gold.whole)
    instead = _NOT_BUT().search(text)
    if instead and not _NOT_BUT().search(gold.whole):
        text = instead["new"]
    if not _CONTRAST().search(gold.whole):
        text = _CONTRAST().sub("", text)
    contrast = _BUT().search(text)
    if contrast and not _CONTRAST().search(gold.whole):
        text = text[contrast.start("asked") :]
    if forms(text) & wanted or forms(_RELATIVE().split(text, maxsplit=1)[0]) & wanted:
        return Words(gold.words, gold.whole)
    text = _ASIDE_CLAUSE().sub(" ", _SO_IT_IS().split(text)[-1]).strip()
    text = _OF_COURSE().sub("", text)
    if _COPULA().search(text):
        text = _APPOSITION().split(text, maxsplit=1)[0]
    bare = unhedged(_IN_SHORT().sub("", text)).strip()
    if bare != text and forms(bare) & wanted:
        return Words(gold.words, gold.whole)
    places = list(_STATES().finditer(text))
    for match in places[:6] + places[max(6, len(places) - 10) :]:
        after = _RELATIVE().split(text[match.end() :], maxsplit=1)[0]
        if _DENIED().match(after):
            continue
        place = _BEHIND().search(after)
        if place and forms(after[: place.start()]) & wanted:
            return Words(gold.words, gold.whole)
        owner = match.group().startswith("'")
        owner = owner or _LESSER().match(text, match.end()) is not None
        if forms(after) & wanted or (not owner and forms(text[: match.start()]) & wanted):
            return Words(gold.words, gold.whole)
    if _named_first(text, gold.words) or _named_last(text, gold.words):
        return Words(gold.words, gold.whole)
    return Words(plain_words(text), text)


_IN_SHORT = pattern(
    r"^\W*(?:in the end|finally|all in all|in short|in conclusion|in summary|at last|in sum"
    r"|after all)[,:]\s+",
    re.I,
)
_SO_IT_IS = pattern(
    r"[,;]\s+(?:and )?(?:so|hence|thus|therefore)\s+(?=(?:it(?:'s| is| was)|the answer is"
    r"|that is)\s)",
    re.I,
)
_ASIDE_CLAUSE = pattern(r",\s(?:which|who|whose|where)\s[^,]*(?:,|(?=[.!]?$))")
_OF_COURSE = pattern(
    r",\s+(?:of course|naturally|obviously|i (?:think|believe|guess|suppose)|probably|for sure"
    r"|no doubt|clearly)[.!]*$",
    re.I,
)
_LESSER = pattern(
    r"\s*(?:the |my |our |only |a |an |much |far |still )*(?:smaller|larger|older|younger|lower"
    r"|higher|better|worse|bigger"
    r"|shorter|longer|less|more|fewer|second|third|last|next|close|near|runner-up|wrong"
    r"|incorrect)(?!\w)",
    re.I,
)
"""What is said of a name that is not the answer: `is smaller than`, `is the second choice`."""
_COPULA = pattern(r"(?<!\w)(?:is|was|are|were|ist|war|est|es|era|è)\s[^,]+,")
_APPOSITION = pattern(
    r",\s+(?:(?:a|an|the|one|who|which|whose|where)\s|(?:born|known|founded|located|situated"
    r"|written|built|named"
    r"|[a-z]+ed)\s(?:in|on|at|by|as|for|after|near)\s)"
)
"""What is said of a name behind it: `Clara Lindt, born in Bern`."""
_CONTRAST = pattern(r",?\s+(?:and |but )?(?:not|rather than|instead of|unlike)\s[^,;]{1,60}$", re.I)
_NOT_BUT = pattern(
    r"(?:(?<!\w)not|n't)\s(?!only|just)[^,;.]{1,60},? but (?:rather |instead )?(?P<new>.+)$", re.I
)
_BUT = pattern(
    r"[,;]\s*(?:but|yet|however|whereas|while|though),?\s+(?P<asked>(?:now |in truth |actually "
    r"|really )?(?:it|that|this|the (?:\w+ ){0,4}?"
    r"(?:asked|wanted|sought|question|answer|right|correct|real|actual|true)(?: "
    r"\w+){0,3}?)\s?(?:is|was|'s)\s.+)$",
    re.I,
)
_RELATIVE = pattern(r",?\s(?:who|that|which|whose|where|when)\s")
_BEHIND = pattern(
    r"(?<=\w)(?:,\s+(?:in|on|at|near|during|around|who|which|where)|\s+(?:in|on|at|during|around"
    r"|near|from|between|since|until))"
    r"\s(?!.*(?<!\w)(?:or|but|not|then|and (?:then|not))(?!\w))"
)
"""Where a name ends and the place or the time begins: `Porto, in the north of Portugal`."""
_TOKENS = pattern(r"[^\W_]+(?:[-'][^\W_]+)*")


_DENIED = pattern(r"\s*(?:not|n't|never|nicht|pas|no longer|hardly|neither)(?!\w)", re.I)
_NOT = ("isn't", "wasn't", "can't", "didn't", "doesn't", "not", "never", "cannot")
_ASIDE = frozenset((*_NOT, "or", "and", "nor", "but", "also"))


def _named_first(text: str, wanted: str) -> bool:
    """Whether a sentence opens with the name that gold is, of which it then says something."""
    tokens = _TOKENS().findall(text)
    size = len(wanted.split())
    if len(tokens) <= size + 1 or plain_words(" ".join(tokens[:size])) != wanted:
        return False
    after = tokens[size : size + 2]
    if _LESSER().match(" ".join(tokens[size + 1 :])):
        return False
    return tokens[0][:1].isupper() and all(w.islower() and w not in _ASIDE for w in after)


_NAMES_OF = frozenset(
    [
        "city",
        "town",
        "river",
        "lake",
        "island",
        "state",
        "country",
        "name",
        "kingdom",
        "republic",
        "banks",
        "shores",
        "province",
        "region",
        "village",
        "port",
        "month",
        "day",
        "element",
        "planet",
        "gulf",
        "work",
        "form",
        "capital",
        "metropolis",
        "case",
        "metal",
        "hand",
    ]
)
"""What is named by the name behind `of`: `the city of Porto`."""
_BELONGS = pattern(
    r"(?<!\w)(?P<what>\w+) of(?: the)?$"
    r"|(?<!\w)(?:followed|preceded|beaten|defeated|surrounded|replaced|succeeded) by(?: the)?$"
    r"|(?<!\w)(?:ahead of|behind|before|after|over|beside|beyond|opposite|without|except|besides"
    r"|versus|vs)(?: the)?$",
    re.I,
)
"""A name that only says whose, or next to what, the answer is: `the brother of Ada`."""


_OTHER_VERBS = frozenset(
    [
        "beats",
        "defeats",
        "exceeds",
        "follows",
        "precedes",
        "outranks",
        "mentions",
        "resembles",
        "borders",
        "contains",
        "includes",
        "visited",
        "likes",
        "knows",
        "met",
        "knew",
        "beat",
        "defeated",
        "joined",
        "followed",
        "formerly",
        "originally",
        "previously",
        "mentioned",
        "without",
    ]
)
"""Verbs whose object is not what a sentence is about."""


def _named_last(text: str, wanted: str) -> bool:
    """Whether a sentence ends in the name that gold is, with a common word before it."""
    tokens = _TOKENS().findall(_BRACKETS().sub("", text))
    size = len(wanted.split())
    if len(tokens) <= size + 1 or plain_words(" ".join(tokens[-size:])) != wanted:
        return False
    whose = _BELONGS().search(" ".join(tokens[:-size]))
    if whose and (whose["what"] or "").lower() not in _NAMES_OF:
        return False
    name, before = tokens[-size], tokens[-size - 1]
    named = name[:1].isupper() or before.lower() in ("the", "a", "an")
    if before.lower() in ("the", "a", "an") and len(tokens) > size + 1:
        before = tokens[-size - 2]
    return (
        named
        and before.islower()
        and before
        not in (
            "not",
            "or",
            "and",
            "than",
            "with",
            "about",
            "for",
            "like",
            "unlike",
            "near",
            "from",
            "against",
            "nor",
            "but",
            *_OTHER_VERBS,
        )
    )


KIND = Kind("text", _gold, _given, _same, _spoken, layer="by words")
