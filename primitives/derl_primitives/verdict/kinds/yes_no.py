"""Yes and no, true and false: by what the sentence says."""

from __future__ import annotations

from derl_primitives.patterns import pattern
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.words import NO, YES

_IDIOMS = pattern(
    r"\bnot (?:sure|certain)\b|\b(?:no (?:idea|clue|answer|information|one|way to (?:tell|know"
    r"|say)|doubt|question|problem|wonder|matter|more|less|longer)|without (?:a "
    r")?doubt|there(?: i|')s no (?:doubt|question)|kein zweifel|sans (?:aucun )?doute|sin "
    r"duda|sem dúvida|senza dubbio)(?: (?:about (?:it|that)|at all|whatsoever))?\b"
)
_SURELY_NOT = pattern(
    r"^\W*(?:of course|certainly|definitely|absolutely|surely|clearly|natürlich|sicher|bestimmt"
    r"|bien sûr que|por supuesto que|claro que|certo che) (?:not|nicht|non|no)(?=\W*$|[,.;:])"
    r"|^\W*i(?:'m| am) afraid not(?!\w)|^\W*i (?:think not|don't think so)(?!\w)"
    r"|^\W*not at all(?!\w)"
)
_WORD = pattern(r"[^\W\d_]*n't(?!\w)|[^\W\d_]+|[:;.\u2014](?=\s)")
_GOLDS = frozenset(
    [
        "yes",
        "no",
        "true",
        "false",
        "ja",
        "nein",
        "oui",
        "non",
        "sí",
        "sì",
        "si",
        "да",
        "нет",
        "是",
        "否",
        "はい",
        "いいえ",
        "vrai",
        "faux",
        "wahr",
        "falsch",
        "verdadero",
        "falso",
        "vero",
        "sim",
        "não",
        "correct",
        "incorrect",
        "예",
        "아니요",
        "네",
        "아니오",
        "نعم",
        "لا",
        "हाँ",
        "नहीं",
        "对",
        "错",
        "不是",
        "正确",
        "错误",
    ]
)
_DENIALS = frozenset(
    [
        "not",
        "n't",
        "never",
        "isn't",
        "hardly",
        "cannot",
        "nicht",
        "pas",
        "niet",
        "ei",
        "inte",
        "ikke",
    ]
)
_STOPS = frozenset(":;.\u2014")
_JOINING = frozenset(("or", "and", "und", "oder", "et", "ou", "y", "o", "e"))
_TURNS = frozenset(("but", "however", "yet", "aber", "mais", "pero", "но"))
_VERBS = {"holds": True, "hold": True, "fails": False, "fail": False}
"""What a claim does that is true, or false."""
_WEAK = frozenset(
    ["certainly", "absolutely", "affirmative", "negative", "correct", "si", "so", "да"]
)


def _gold(text: str) -> bool | None:
    word = text.strip(" .!\"'").casefold()
    if word not in _GOLDS:
        return None
    return word in YES


def _given(text: str, gold: bool, comma: bool) -> bool | None:
    del gold, comma
    text = _IDIOMS().sub(" ", _SURELY_NOT().sub(" no ", text.casefold()))
    words = _WORD().findall(text)
    while words and words[0] in _STOPS:
        del words[0]
    if not words:
        return None
    if words[1:2] and words[1] in _JOINING:
        words = words[3:]
        if not words:
            return None
    turn = max((k for k, w in enumerate(words) if w in _TURNS), default=0)
    if turn and any(w in YES | NO or w in _VERBS for w in words[turn:]):
        words = words[turn + 1 :]
    if words[0] in YES | NO:
        both = {w in YES for w in words if w in YES | NO}
        if words[0] in ("yes", "no", "true", "false") and len(words) < 4 and len(both) > 1:
            return None
        return words[0] in YES
    said: bool | None = None
    denied = False
    for word in words[:60]:
        if word in _STOPS or word in ("so", "hence", "thus", "therefore"):
            denied = False
        elif word in _DENIALS or word.endswith("n't"):
            denied = True
        elif word in YES or word in NO or word in _VERBS:
            value = _VERBS.get(word, word in YES) != denied
            if said is not None and said != value:
                return None
            said, denied = value, False
    if said is None:
        return _cjk(text)
    return said


def _cjk(text: str) -> bool | None:
    for word in ("不是", "不对", "错误", "いいえ", "아니", "错", "否", "لا"):
        if word in text:
            return False
    for word in ("是", "对", "正确", "はい", "네", "예", "نعم"):
        if word in text:
            return True
    return None


KIND = Kind("yes or no", _gold, _given, lambda given, gold: given == gold, _given)
