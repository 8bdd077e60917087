r"""Denials around an answer: `a mistake to say 42`, `definitely not \boxed{B}`, `Lima is wrong`.

A clause denies what stands in it when it opens with words that do (before), or goes on with words
that do (after). Two negations that meet ("no doubt", "not a mistake") deny nothing.
"""

from __future__ import annotations

import re

from derl_primitives.patterns import pattern

_CLAIM = (
    r"(?:say|claim|answer|conclude|write|believe|think|assume|guess|put|give|choose|pick|report"
    r"|state|call|accept|credit|name|attribute|label|identify|select|mark|quote|cite|bet|suppose"
    r"|call it|settle on|go with)"
)
_CLAIMING = (
    r"(?:saying|claiming|answering|concluding|writing|believing|thinking|assuming|guessing"
    r"|putting|giving|choosing|picking|reporting|stating|accepting)"
)
_BREAK = pattern(
    r"[;:\n\u2014\u2013]|,|(?<!\w)(?:but|so|hence|thus|therefore|because|since|which|then|yet"
    r"|whereas|while|and|sondern|mais|sino|also|donc|но|а)(?!\w)|而是|[，；：]"
)
_STANCE = pattern(
    r"^\W*(?:wrong|incorrect|false|rejected|excluded|discarded|ruled out)\s*:|"
    r"(?<!not )(?<!not an )(?<!not a )(?<!no )(?<!n't )(?<!n't a )"
    r"(?<!\w)(?:(?:an? )?(?:\w+ )?(?:mistakes?|errors?|misconceptions?|fallacy|lie|myth|blunder"
    r"|slip|oversight|sin|exaggeration|stretch)"
    r"|wrong|incorrect|false|misleading|absurd|nonsense|untrue|foolish|tempting|na\u00efve|naive"
    r"|not true|not the case|not correct|not right|isn't true|isn't the case)"
    rf" (?:that|(?:for \w+ )?to (?:just |simply )?{_CLAIM}|of {_CLAIMING})(?!\w)"
    r"|(?<!\w)(?:wrong|incorrect|false|mistaken|na\u00efve|naive|tempting|typical) (?:answer"
    r"|result|value|choice"
    r"|option|solution|guess|response) (?:is|was|would be|here is)(?!\w)"
    r"|(?<!\w)(?:i|we|you can) (?:really |strongly |very much |highly |still )?doubt(?!\w)"
    r"|(?<!not )(?<!n't )(?<!hardly )(?<!\w)(?:doubtful|unlikely|improbable|impossible|out of "
    r"the question) "
    r"(?:that|for|if|whether)(?!\w)"
    r"|(?<!\w)(?:don't|do not|doesn't|didn't|did not|wouldn't|would not|can't|cannot|couldn't"
    r"|could not|shouldn't|should not|must not|mustn't|never|refuse to|hesitate to|nobody should"
    rf"|no one should|(?:nobody|no one|no-one|none) (?:would|will|could|can)) (?:really |ever "
    rf"|possibly |at all |just |even )?{_CLAIM}(?!\w)"
    r"(?! (?:so|it over|why|how|what|hard|about|more|twice|anything|of|any)(?!\w))"
    r"|(?<!\w)(?:everyone|everybody|anyone|anybody|whoever|those|people|students|all|he|she"
    r"|someone)(?: who| that)?"
    r" (?:\w+ )?(?:answers?|says?|writes?|claims?|picks?|chooses?|thinks?|wrote|answered"
    r"|believes?|guesses|guessed)(?!\w)"
    r"|(?<!\w)(?:nobody|no one|no-one|who|i don't|we don't|i do not"
    r"|we do not) (?:\w+ )?(?:knows?|can (?:say|tell|know)|could (?:say"
    r"|tell)) (?:whether|if)(?!\w)"
    r"|(?<!\w)(?:unclear|unknown|uncertain|undecided|not (?:clear|known|certain|sure)|open|"
    r"questionable|remains to be seen) (?:whether|if)(?!\w)"
    r"|(?<!\w)(?:nothing|nobody|no one|none) (?:suggests|says|indicates|supports|points to"
    r"|speaks for"
    r"|proves|shows)(?!\w)|(?<!\w)(?:asks?|asked|decide|determine|find out) whether(?!\w)"
    r"|(?<!\w)(?:i|we) (?:still |only )?(?:wonder|disagree with|reject|rule out|exclude"
    r"|dismiss)(?!\w)"
    r"|(?<!\w)(?:my|his|her|our|their) (?:friend|teacher|brother|sister|neighbou?r|colleague|mother"
    r"|father|boss) (?:says|said|claims|claimed|thinks|thought|got|gets)(?!\w)"
    r"|(?<!\w)(?:the (?:book|teacher|answer key|internet|website)|some|others?) (?:says?|claims?"
    r"|thinks?|said|claimed)(?!\w)"
    r"|(?<!\w)used to (?:be|say|think|believe)(?!\w)|(?<!\w)(?:one|you|some|many|people"
    r"|some people|students) "
    r"(?:might|may|could|would|will|often)"
    rf" (?:well |easily |perhaps |be tempted to |want to )?(?:expect|{_CLAIM})(?!\w)"
    r"|(?<!\w)if (?:i|you|we|one|he|she|they|anyone|somebody|someone) (?:said|wrote|answered"
    r"|claimed|were to say)(?!\w)"
    r"|(?<!\w)no (?:way|chance|possibility|reason)(?!\w)"
    r"|(?<!\w)(?:under|in|by) no (?:circumstances?|case|means|way)(?!\w)|(?<!\w)on no account"
    r"|(?<!\w)(?:keinesfalls|keineswegs|auf keinen fall|sicher nicht|bestimmt nicht|en aucun cas"
    r"|certainement pas|s\u00fbrement pas|pas du tout|de ninguna manera|de ning\u00fan modo"
    r"|en ning\u00fan caso|seguramente no|de modo (?:algum|nenhum)|in nessun caso"
    r"|ни в коем случае|никак не|точно не|вовсе не)(?!\w)"
    r"|绝不是|绝非|决不是|肯定不是|不可能是|不应该是|不会是|不能是|絶対に.{0,9}ない|절대"
)
_GOVERNS = pattern(
    r"(?<!\w)(?:far|different|apart|distinct|differs?) from(?!\w)|(?<!\w)(?:nowhere near|no "
    r"longer|instead of"
    r"|rather than|not even|never|neither|unequal to)(?!\w)"
    r"|(?<!\w)(?:any|every|no)(?:thing|where|one|body)? (?:but|except|other than|apart from"
    r"|besides)(?!\w)"
    r"|(?<!\w)(?:except(?: for)?|apart from|save for|excluding|aside from)(?!\w)"
    r"|(?<!\w)all (?:\w+ )?(?:but|except|other than|apart from|besides)(?!\w)"
)
_TIGHT = pattern(
    r"(?:(?<!\w)(?:not|never|(?:is|are|was|'s) no|cannot|hardly|scarcely|nicht|kein|keine|pas"
    r"|no es|no son"
    r"|n\u00e3o \u00e9|non \u00e8"
    r"|niet|geen|nie jest|не)"
    r"|n't|\u2260|\\neq?|!=|不是|不为|不等于|并非|不)"
    r"(?:\s+(?:be|equal|equals|to|the|that|this|value|number|answer|result|right|correct|really"
    r"|possibly|simply|actually|in fact|at all|is|it|a|an|option|choice|have been|равна|равен"
    r"|равно|является|составляет|будет|la|le|die|der|das|el))*"
    r"[\s$*_(\[`\"'\\~{]*$"
)
_AFFIRMED = pattern(
    r"(?<!\w)(?:isn't|is not|can't be|cannot be|wasn't|was not) (?:anything|anyone|anybody"
    r"|any other \w+) "
    r"(?:other than|but|except(?: for)?|else than)|"
    r"(?<!\w)(?:no|without|beyond|little|hardly any|not a|cannot be any|zero) (?:a )?(?:\w+ )?doubt"
    r"|(?<!\w)(?:can't|cannot|don't|do not|no one|nobody|never) (?:\w+ )?(?:doubt|deny)"
    r"|(?<!\w)(?:not|isn't|never|no) (?:an? )?(?:\w+ )?(?:mistake|error|wrong|incorrect|false"
    r"|surpris\w+) (?:to|that)"
    r"|(?<!\w)(?:none|nothing|nobody|no one|no(?: \w+){0,3}?) (?:other than|but"
    r"|except(?: for)?|apart from|aside from|save for)"
    r"|(?<!\w)not (?:too |very |so |that )?(?:hard|difficult|only|just|surprising|impossible"
    r"|necessary|needed"
    r"|important|a coincidence|for nothing|to worry|by chance|unreasonable)(?!\w)"
    r"|(?<!\w)(?:isn't|aren't|wasn't) (?:too |very |so |that )?(?:hard|difficult|surprising"
    r"|necessary|needed|important)(?!\w)"
    r"|(?<!\w)(?:no way around|no other way|no reason to doubt|not only|if not)(?!\w)"
)
_BUT = pattern(r"(?<!\w)(?:any|every|no)(?:thing|where|one|body)? but$|(?<!\w)all (?:\w+ )?but$")
_CLOSE = r"^[\s$*_)\]}\"'`\\]*"
_FILLER = (
    r"(?:(?:clearly|obviously|definitely|simply|also|certainly|therefore|plainly|surely|thus|a|an"
    r"|the|can be|could be|should be|tempting|plausible|close|common|popular|likely|natural|good"
    r"|nice|but|yet|and|however|just"
    r"|still|actually|of course|both|very|all|in fact|rather|quite|totally|completely),? ){0,5}"
)
_AFTER = pattern(
    _CLOSE + r"(?:cm|m|kg|km|%|degrees|apples|dollars|percent)?,?\s*"
    r"(?:(?:which|(?:but|and|yet|though) (?:that|this|it|he|she|they))\s+)?(?:"
    r"but (?:not|never) (?:quite|exactly|really|entirely)(?!\w)|"
    r"\?\s*(?:certainly |definitely |surely |absolutely |of course )?(?:no|not|never|nope|nein"
    r"|non)(?!\w)"
    r"|(?:is|was|are|were|turn(?:s|ed) out to be|prove[sd]? (?:to be )?|would be|would have been"
    r"|must be|seems|looks|will be|being|(?:can|could"
    r"|may|must) be|gets)\s+"
    + _FILLER
    + r"(?:wrong|incorrect|false|mistaken|mistakes?|errors?|misprints?|typos?|traps?|red herring"
    r"|(?:wrong|incorrect|false) (?:answer|one|result|choice|option)|impossible|nonsense|untrue"
    r"|ruled out|excluded|eliminated|rejected|discarded|dismissed|crossed out|out of the question"
    r"|too (?:small|large|big|high|low|much|many|few|short|long|little)|invalid|unacceptable"
    r"|extraneous)(?!\w)"
    r"|(?:is|was|would be) (?:\w+ ){0,3}?(?:less|more|fewer|greater|larger|smaller|higher|lower"
    r"|short|shy|away|off)"
    r"(?: than| of| from)? (?:what|the (?:right|correct|true|actual|real|wanted))(?!\w)"
    r"|would (?:only )?(?:be|have been|hold|work|follow)\s+"
    + _FILLER
    + r"(?:answer|right|correct|it|true|result|value|case)?,? ?(?:only )?"
    r"(?:if|had|were|unless)(?!\w)"
    r"|(?:(?:is|are|was|were) (?:\w+ )?(?:mentioned|given|stated|asked|named|written|listed"
    r"|shown)|appears"
    r"|occurs|stands|comes up)(?: \w+){0,2} (?:in|by|on) the (?:question|problem|task|exercise"
    r"|statement|text"
    r"|prompt|title)(?!\w)"
    r"|is what (?:\w+ ){1,4}?(?:if|when|by|without|after|before)(?!\w)"
    r"|(?:as )?(?:said|says|thought|thinks|claimed|believed|wrote) (?:no ?(?:one|body)|none"
    r"|only a fool)(?!\w)"
    r"|,? ?(?:but )?(?:only )?if (?:you|one|we|i|they) (?:\w+ )?(?:forgets?|ignores?|neglects?"
    r"|believes?"
    r"|overlooks?|miss(?:es)?|skips?|leaves? out|misreads?|double[- ]counts?|trusts?|omits?)(?!\w)"
    r"|is what (?:\w+ ){0,4}?(?:careless|many|most|some|people|students|others|one might|you "
    r"might|beginners)(?!\w)"
    r"|(?:is|was|were) (?:only |just )?(?:last|yesterday's|yesterday|this morning)(?!\w)"
    r"|(?:is|was) (?:(?:my|his|her|our|their|at) (?:very )?(?:first|initial|original|previous"
    r"|old|earlier)"
    r"(?: thought| guess| idea| answer| choice| try)?"
    r"|(?:the|an?) (?:very )?(?:first|initial|original|previous|old|earlier) (?:thought|guess"
    r"|idea|answer|choice"
    r"|try|value|attempt|estimate))(?!\w)"
    r"|(?:is|was) (?:only|just|merely) (?:the|an?|part|half|one|his|her|its)(?!\w)"
    r"|(?:is|was|are|would|has)(?:n't| not| never)\s+" + _FILLER + r"(?:be )?"
    r"(?:right|correct|true|it|possible|acceptable|answers?|one|result|value|option|valid|what"
    r"|an? solution|been)(?!\w)"
    r"|(?:cannot|can't|could(?:n't| not)|must not|mustn't|should(?:n't| not)"
    r"|won't)\s+(?:possibly |ever )?be(?!\w)"
    r"|(?:divides|exceeds|contradicts)(?!\w)|(?:is|was|are) (?:given|already known)[\s.!]*$"
    r"|(?:fails|does(?:n't| not) (?:work|fit|satisfy|hold|solve|check|match|make|count))(?!\w)"
    r"|(?:has|have) (?:mis\w+|made (?:a|an)|got it wrong|erred)(?!\w)|(?:ist|sind|w\u00e4re) "
    r"(?:falsch|nicht|ein fehler)"
    r"|(?:est|serait) (?:faux|fausse|une erreur)|n'est pas|(?:es|ser\u00eda) (?:falso|incorrecto"
    r"|un error)|no es"
    r"|\u00e8 sbagliato|(?:это )?(?:неверно|неправильно|ошибка)|是错|不是|不对|是不对)"
)


def affirmed(clause: str) -> str:
    """A clause in lower case with negations that cancel each other blanked."""
    return _AFFIRMED().sub(lambda m: " " * len(m.group()), clause)


def last_clause(text: str) -> str:
    """What stands behind the last break of a text that ends before an answer."""
    end = 0
    for match in _BREAK().finditer(text):
        if match.group() != "but" or not _BUT().search(
            text, max(0, match.start() - 24), match.end()
        ):
            end = match.end()
    return text[end:]


def denied_before(text: str) -> bool:
    """Whether the clause that ends in `text` (lower case, before an answer) denies the answer.

    >>> denied_before("it would be a mistake to answer "), denied_before("no doubt it is ")
    (True, False)
    >>> denied_before("it is certainly not "), denied_before("it cannot be 6, so it is ")
    (True, False)
    """
    clause = affirmed(last_clause(text))
    return any(p().search(clause) for p in (_TIGHT, _STANCE, _GOVERNS))


def denied_after(text: str) -> bool:
    """Whether `text` (lower case, right behind an answer) denies the answer.

    >>> denied_after(" is tempting but wrong."), denied_after(" is right since 5 is wrong.")
    (True, False)
    """
    return bool(_AFTER().match(text))


_NEGATED_VALUE = pattern(
    r"(?<!\w)(?:is|are|was|were|equals?|be|does|do)(?:n't| not| never)(?: on| in| at| equal(?: "
    r"to)?| the| exactly)*"
    r" [$*\[{\u2983]{0,4}(?=\d|-\d|\\|\u2983|[a-z](?![a-z'])|jan|feb|mar|apr|may|jun|jul|aug|sep"
    r"|oct|nov|dec|\()(?:\([^()]*\)|[^,;:(])*$"
)


def negates_value(sentence: str) -> bool:
    """Whether a sentence in lower case ends in a value that it says is not: `the slope is not 2x`.

    >>> negates_value("the derivative is not 2x."), negates_value("it is not 3, it is 4")
    (True, False)
    """
    return _NEGATED_VALUE().search(affirmed(sentence)) is not None


def stance(sentence: str) -> re.Match[str] | None:
    """Where a sentence denies what it says, as a whole: `I doubt that it is 35`.

    >>> stance("it is a mistake to say 42.") is None, stance("there is no doubt: 42") is None
    (False, True)
    """
    return _STANCE().search(affirmed(sentence))
