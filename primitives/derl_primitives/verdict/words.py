"""Words that mark, deny, take back or refuse an answer, in the languages that completions use.

One table a meaning; a language is added by adding its words to each. All patterns run on text
in lower case and are linear: every gap is counted and every quantifier stands alone.
"""

from __future__ import annotations

import re

from derl_primitives.patterns import pattern

ANSWER_NOUNS = (
    "answer", "antwort", "réponse", "reponse", "respuesta", "resposta", "risposta", "ответ", "відповідь",
    "答案", "答え", "解答", "答：", "答:", "정답", "답은", "답:", "답：", "الإجابة", "الجواب", "إجابة", "جواب", "उत्तर", "जवाब",
    "antwoord", "odpowiedź", "odpowiedz", "cevap", "yanıt", "đáp án", "đáp số", "trả lời", "jawaban",
    "απάντηση", "vastaus", "svaret", "svar:", "svar är", "svar er", "odpověď", "válasz", "răspuns", "תשובה", "উত্তর", "பதில்", "คำตอบ", "پاسخ",
    "correct option", "correct choice", "final value", "richtig ist", "bonne réponse", "opción correcta",
)  # fmt: skip
"""What an answer is called. `答：` and `답:` need their colon: alone they are parts of other words."""

NOUN = pattern("|".join(sorted(ANSWER_NOUNS, key=len, reverse=True)))

_VERBS = (
    r"(?:is|are|was|were|equals?|comes? (?:out )?to|be|becomes|=|ist|lautet|beträgt|sind"
    r"|est|sont|vaut|es|son|é|são|è|sono"
    r"|равен|равна|равно|это|is gelijk aan|wynosi|brzmi|to|là|adalah|είναι|on|är|er|je|este|este:)"
)
COPULA = pattern(
    r"(?P<gap>[^.:=\n?!:\u3002;]{0,80}?)"
    rf"(?P<verb>[*_]{{0,3}}\s?(?::|=|\u2192|->|\u21d2|=>|\u2013|\u2014|~|\u2248)|\s-\s"
    rf"|(?<![\w']){_VERBS}(?!\w)"
    r"|是|为|為|等于|は|은|는|이|هو|هي|है|=)"
    r"(?P<colon>[\s*_]{0,6}:)?"
)
"""From the noun to what it is: a short gap, then a verb or a sign."""

GAP = pattern(
    r"[\s*_\"'`)\]]*(?:(?:\(|\[)[^)\]]{0,30}[)\]])?\s*(?:|,?\s*(?:to|for|of|in|here|then"
    r"|therefore|thus|hence|choice|option|letter|value"
    r"|i get|i got|we get|i found|should|must|would|will|can only|has to|key|n'est|ne "
    r"serait|finale?|correcte?|correcta|definitiva"
    r"|final|lui|zu|auf|der|des|de|du|à|a la|al|di|alla|del|da|на|в|окончательный|richtige"
    r"|nummer|que|only|really|now|indeed|so|i|we|you|that|number)\b.{0,76}"
    r"|\S{1,16})\s*[*_]*"
)
"""What may stand between the noun and the verb."""

NOT_THE_ANSWER = pattern(
    r"(?<!\w)(?:wrong|incorrect|first|initial|previous|earlier|naive|na\u00efve|tempting|common"
    r"|old|original|intermediate|student's|his|her"
    r"|their|another|other|possible|false|bad|typical|guessed|any|no|an?|prior|partial"
    r"|each|this|who|whoever|they|people|students|falsche|erste|mauvaise|fausse|incorrecta)"
    r"\s+$"
)
"""Right before the noun: an answer that is talked about, not given."""

EMPTY_TALK = pattern(
    r"[\s*_:,]*(?:(?:indeed|also|therefore|thus|definitely|certainly|probably|now|actually"
    r"|then|both|quite|very|really|too|not)\s+)*"
    r"(?:correct|right|wrong|incorrect|verified|confirmed|consistent|reasonable|clear"
    r"|below|above|see [^.]{0,40}|as follows|found|obtained|simple|obvious|a (?:whole )?number"
    r"|an integer"
    r"|the following|unique|checked|plausible|sensible|ready|given (?:in|as|below|above"
    r"|inside)|in the form|in (?:the )?box|positive|negative|valid|complete|known|hidden|"
    r"small|large|even smaller|bigger|the same|supposed|expected|supported|based|required"
    r"|needed|to be|written|enclosed|boxed|put|placed|what|richtig|korrekt|correcte?"
    r"|correcta|corretta|верн|正确|對的|对的)"
    r"(?!\w)(?:\s+(?:and|as|by|because|since|that|to|with|in|here|now|so|inside|within|on"
    r"|at|of|from|enough|indeed|then|i|we|because|when|too).*)?[\s.!*_]*$"
)

NEGATION = pattern(
    r"[\s*_\"'(]*+(?:(?:it|that|this|the answer|\w{1,10})\s+)?(?:(?:is|are|was|would|will"
    r"|can|could|should|must|does|do|did)\s*(?:not|n't|never)|isn't|aren't|wasn't"
    r"|cannot|can't|won't|doesn't|(?:definitely |certainly |surely |clearly |absolutely "
    r"|obviously |probably |most certainly )?not|n't|never|anything but|other than|neither"
    r"|different from|far from|no longer|nowhere near"
    r"|(?:sicher |bestimmt )?nicht|kein\w{0,2}|keinesfalls|n'est pas|pas|jamais|no es|no "
    r"son|nunca|não|nao|non è|non|не|niet|geen|nie|değil|không phải|không|bukan|"
    r"ikke|inte|ei|ليس|ليست|لا|नहीं|不是|不为|不等于|并非|非|不|아니)(?![a-zäöüß])",
    re.I,
)
"""What is said is what the answer is not; also the sign."""

NEGATED_AFTER = pattern(
    r"(?:ではありません|ではない|じゃない|でない|が아니|아닙니다|아니다|이 아니|가 아니|नहीं है|değil|nicht|는 아니|is wrong"
    r"|would be wrong|was wrong|are wrong|(?:is|can be|gets|was) (?:ruled out|excluded|discarded"
    r"|dismissed|eliminated)|is too (?:small|large"
    r"|big|low|high)|won't do|fails|is (?:unfounded|bogus|absurd|nonsense|baseless|unjustified"
    r"|untenable|not supported)|is not right|is not correct|is incorrect"
    r"|isn't right|isn't correct|is not the answer|isn't the answer|can't be right|cannot "
    r"be right|cannot be|can't be|is false|不对|不是答案|ist falsch|est faux|es falso|неверно"
    r"|неправильно)",
    re.I,
)
"""A negation that comes after what it denies."""

INSTEAD = pattern(
    r"(?:,?\s*(?:(?<!\w)(?:but(?: rather)?|sondern|mais|sino|mas sim|mas|ma|а|instead|rather)|而是)"
    r"|[,;.:\u2014\u2013-]\s*(?:it is|it's|it was|they are|they were|there are|there were|but"
    r"|the answer is|rather|instead|это|es ist|es sind|\u00e8|\u00e9|son|sono|s\u00e3o"
    r"|c'est)|(?<=\uc544\ub2c8)(?:\ub77c|\uace0))[\s:,]+(?:actually |really |in fact |indeed )?",
    re.I,
)
"""`not 41 but 42`: what follows is the answer."""

REFUSAL = pattern(
    r"cannot be (?:determined|found|computed|solved|calculated|answered|known|said)"
    r"|can(?:no|')t (?:be determined|be known|be found|be answered|determine|tell|answer"
    r"|solve|find|say|decide|help|compute|work|figure|assist|know)"
    r"|could(?: not|n't) (?:be determined|determine|find|solve|work|figure|compute)"
    r"|unable to|not able to|no (?:final )?answer\b|don't know|do not know|no idea|not "
    r"sure what|(?:not enough|insufficient|too little) (?:information|data|details|context)"
    r"|impossible to (?:say|tell"
    r"|know|determine)|"
    r"i give up|i refuse|refuse to|i decline|(?:will|would|do) not (?:answer|say|tell)"
    r"|won't (?:answer|say|tell)|rather not|i(?:'m| am) (?:stuck|sorry)|i apologi[sz]e|n/a\b"
    r"|unknown\b|undetermined"
    r"|not (?:given|provided|available|determinable)|weiß (?:ich )?(?:es )?nicht|weiss "
    r"nicht|nicht bestimm|nicht beantworten|keine ahnung|tut mir leid|"
    r"je ne (?:sais|peux)|désolé|impossible (?:à|de)|no lo sé|no sé|no (?:se )?puedo|no "
    r"se puede|lo siento|não sei|não (?:é possível|posso)|desculpe|non (?:lo )?so|non "
    r"posso|не знаю|не могу|невозможно|извините|"
    r"无法|不知道|抱歉|不能确定|無法|わかりません|分かりません|できません|モる|모르|알 수 없|죄송|لا أعرف|لا يمكن|नहीं पता|skip "
    r"this|as an ai"
)

GIVES_UP = pattern(
    r"(?:^|[.!?\n]\s*)[^.!?\n]{0,30}?(?<!\w)(?:i (?:can(?:no|')t|cannot|could(?:n't| not)"
    r"|am not able to|am unable to)"
    r" (?:really )?(?:tell|say|decide|determine|answer|solve|know)|i (?:do not|don't"
    r"|really don't) know"
    r"|(?:it|this|that) (?:cannot|can't|can not) be (?:determined|known|answered)|i give up"
    r"|i have no idea"
    r"|i(?:'m| am) (?:only |just )?guessing)[^.!?\n]{0,24}(?:[.!]|$)"
)
"""After a marked answer: the text does not stand by it."""

RETRACTION = pattern(
    r"(?<!\w)(?:this|that|it|i|we|which) (?:still |just |completely )?(?:ignores?|ignored|misses"
    r"|missed|forgets|omits|omitted|neglects|neglected"
    r"|overlooks|leaves out|left out|double[- ]counts|double[- ]counted)(?!\w)|"
    r"(?:^|(?<=\n)|(?<=[.!?]\s))\W{0,4}(?:edit|update|erratum|revised|revision)\s?:|"
    r"(?:^\W*|[.!?]\s+)(?:no|nope|nein|non|нет)[,:.]\s+(?=(?:it(?:'s| is) )?[$*]{0,3}-?\d)"
    r"|(?<!\w)(?:just |only )?(?:kidding|joking)(?!\w)|"
    r"(?:i|we) should(?:n't| not| also)? have(?! been)|(?:i|we) ought to have|"
    r"(?:no|nope)\s+wait(?!\w)|(?:we|i) (?:still|also) (?:have to|need to|must) (?:subtract|add"
    r"|multiply"
    r"|divide|remove|account|correct|include|take|deduct|halve|double)(?!\w)|"
    r"(?:no|nope)\s*[,.!\u2014\u2013-]+\s*(?:wait|that|this|it|sorry|i|hold|scratch"
    r"|actually|let me|the)|wait\s*[,.!\u2026\u2014-]*\s*(?:no\b|that's|that is|this is"
    r"|this can't|this isn't|i (?:made|forgot|mis|mixed|need to (?:fix|correct|subtract"
    r"|add|redo)|counted|used|should have|did|got|had|was)|it(?:'s| is) (?:not|wrong)"
    r"|wrong)"
    r"|(?:that|this|it|which|the above|my (?:answer|result|calculation|last \w+)"
    r"|answer(?: above)?)(?: above)?(?:'s| is| was| seems| looks| must be)(?: clearly| "
    r"obviously| definitely| actually| all| of course| certainly| simply)? (?:wrong"
    r"|incorrect|not (?:right|correct|it|true|valid|quite right|the answer|possible)"
    r"|mistaken|false|off|impossible|nonsense|an? (?:error|mistake|typo|misprint|trap|slip))"
    r"|(?:that|this|it)(?: answer)? (?:isn't|can't be|cannot be|wasn't|can not be|doesn't"
    r"|does not) (?:right|correct|true|it|possible|fit|work|match|add up|make sense|check"
    r"|satisfy)"
    r"|i (?:made|see|spot|notice|found) (?:an?|my|the) (?:\w+ )?(?:mistake|error|slip|typo"
    r"|miscalculation)|i(?:'ve| have)? (?:forgot|forgotten|miscounted|miscalculated"
    r"|misread|mixed up|misadded|missed|overlooked|messed up|was wrong|am wrong|take "
    r"(?:that|it|this) back|retract|withdraw|changed? my mind|stand corrected|must correct)"
    r"|(?:scratch|ignore|disregard|forget|strike|cancel|discard|retract) (?:that|this|it"
    r"|the (?:above|last|previous|answer|box)|my|what)|correction\b|changed? my mind"
    r"|on second thought|my "
    r"mistake|my bad|i was mistaken|oops|sorry,|(?:that|this|it) should have been"
    r"|should have been|i meant |i mean,? (?=[$*]{0,3}-?\d)|whoops|not so fast|let me (?:redo"
    r"|correct|fix"
    r"|start over|recompute|recalculate)|start(?:ing)? over"
    r"|nein,|moment, nein|das (?:ist|war|stimmt)(?: leider| doch| so)? (?:falsch|nicht)"
    r"|stimmt (?:so |doch )?nicht|ich nehme das zurück|korrektur|verrechnet|falsch "
    r"gerechnet|vertan|fehler gemacht|doch nicht"
    r"|non, (?:attend|c'est|en fait)|c'est faux|ce n'est pas (?:juste|correct|ça)|je me "
    r"suis tromp|erreur|correction|je retire"
    r"|no, (?:espera|perdón|eso)|espera, no|me equivoqu|está mal|es incorrecto|no es "
    r"correcto|eso no|corrección|corrijo|me he equivocado|retiro"
    r"|não, espera|espere, não|está errado|errei|me enganei|correção|aspetta, no|no, "
    r"aspetta|è sbagliato|ho sbagliato|mi sono sbagliat|correzione"
    r"|нет, (?:подожди|это|не)|стоп|это неверно|неверно|неправильно|ошибся|ошиблась|ошибка"
    r"|поправка|исправл"
    r"|不对|错了|不對|錯了|更正|算错|等等|搞错|修正|有误|いや、|いや,|間違|違います|違う|訂正|待って|틀렸|아니,|아니요,|잘못|정정|잠깐|خطأ"
    r"|गलत|nee, wacht|klopt niet|fout"
)
"""An answer before this is taken back."""

DOUBT = pattern(
    r"\b(?:wait|oh|ah|ugh|let me (?:recount|reconsider|rethink|try again|count again)|actually"
    r"|hmm+|hold on|hang on|however|but|rather|instead|or rather|moment"
    r"|attends|espera|подожди|aspetta|tatsächlich|en fait|en realidad|на самом деле|其实"
    r"|实际上)\b|其实|实际上|等一下"
)
"""After a marked answer: what follows may state another one."""

CONFIRMED = pattern(
    r"\b(?:yes|correct|indeed|confirmed?|confirms|checks out|matches|is right|so it(?:'s| "
    r"is) right|good|fine|consistent|works|verified|stands|as before|same|stimmt|passt"
    r"|exact|correcto|верно|all good|looks right)\b|[\u2713\u2714]|正确|没错|正解|맞"
)

OR_WORDS = pattern(
    r"(?<!\w)(?:or|either|oder|entweder|ou|soit|o bien|oppure|или|либо|lub|veya|hoặc"
    r"|atau|somewhere|between|zwischen|entre|tra|между|one of|eines von|among|versus|vs"
    r"|maybe|perhaps|alternatively|anywhere)(?!\w)|(?<=\d) [ou] (?=\d)"
    r"|(?<!\w)(?:antwoord|het|een|zijn)(?!\w)[^.!?]{0,60} of (?!\w*the)"
    r"|或|または|あるいは|또는|혹은|أو|या|之间",
    re.I,
)
"""Between two values: none was chosen."""

HEDGES = pattern(
    r"(?:[\s*_,:\u2026]|\b(?:probably|approximately|about|around|roughly|exactly|simply"
    r"|just|indeed|therefore|thus|hence|so|then|now|clearly|obviously|perhaps|likely|most "
    r"likely|nearly|almost|only|also|"
    r"i think|i believe|i guess|i'd say|i would say|i get|we get|we have|i got|we find"
    r"|it's|it is|it|equal to|equals?|given by|is|are|be|was|that|of|in fact|of course"
    r"|surely|definitely|certainly|precisely|ungefähr|etwa|ca\.|circa|genau|also|wohl"
    r"|vermutlich|wahrscheinlich|"
    r"environ|sans doute|probablement|donc|aproximadamente|unos|unas|probablemente|cerca "
    r"de|provavelmente|circa|probabilmente|примерно|около|вероятно|ровно|roughly speaking"
    r"|a total of|gleich|égale? à|igual a|uguale a|равен|равна|равно|the number|the value|"
    r"maybe|hmm|well|ok|okay|gives|namely|as follows|und zwar|to be|estimated(?: to be| "
    r"at)?|no more and no less than|nothing but|none other than)(?!\w)|大约|大概|约|恰好|应该是|應該是"
    r"|约为|可能是|등|약|およそ|約|たぶん|おそらく|حوالي|تقريبا|लगभग)+",
    re.I,
)
"""Words before a value that leave it alone."""

REMARK = pattern(
    r"^[\W_]*+(?:(?:that|this|it)(?:'s| is| are|'re) [^.]{0,60}(?:twice|half|double|triple"
    r"|thrice|times) (?:as|the|of|what)|(?:that|this|it)(?:'s| is| are|'re) [^.]{0,60}(?:less"
    r"|more|fewer|greater"
    r"|higher|lower|better|faster|longer|shorter|cheaper) than|(?:i )?hope(?! \d)"
    r"|let me know|feel free|please|thank|thanks|you're welcome|good luck|best "
    r"(?:regards|wishes)|cheers|have a (?:nice|great|good)|is there anything|do you "
    r"(?:want|need|have)|would you like|if you (?:have|need|want|would)|"
    r"(?:i'm|i am) (?:happy|glad|confident|sure|certain|done|here)|that(?:'s| is) (?:it"
    r"|all|my (?:final )?answer|the (?:final )?answer|correct|right|how)|and that's|this "
    r"is (?:correct|right|my|the (?:final|correct|right)|because|consistent)|great|done"
    r"|qed|q\.e\.d|check|verif|proof|sanity|note|remember|"
    r"(?:as a|for a|quick|to) (?:check|verif|double|confirm|sanity|see (?:why|this|that))|(?:we"
    r"|i|you) can "
    r"(?:check|verify|confirm|double)|let(?:'s| me) (?:check|verify|double|confirm)"
    r"|double-check|(?:i|we) (?:checked|verified|double|have (?:checked|verified))|the "
    r"(?:answer|result|solution) is (?:correct|right|verified|confirmed|consistent"
    r"|reasonable)|end of|everything|"
    r"(?:this|that|which|it|both) (?:\w+ )?(?:agrees? with|matches|match|is consistent"
    r"|coincides?|is in line"
    r"|corresponds? to|makes sense|seems (?:right|reasonable|plausible)|is (?:reasonable|plausible"
    r"|sensible|as expected))|by the way|btw|incidentally|fun fact|p\.?s\.?(?!\w)"
    r"|(?:as a )?side note|(?:this|that|it|which) (?:took|takes|needed|required)(?: me| us"
    r"| only)? \S+ "
    r"(?:steps?|lines?|tr(?:y|ies)|attempts?|calculations?|operations?)(?!\w)"
    r"|interestingly|curiously|for (?:comparison|reference)|in passing|übrigens|nebenbei|au passage"
    r"|(?:we|i) (?:only |just |also )?(?:rounded|assumed|applied|neglected|ignored)(?!\w)"
    r"|it(?:'s| is) (?:always |also )?(?:good|wise|useful|worth|helpful|nice|customary|important"
    r"|interesting)"
    r" (?:to|noting|checking|mentioning)(?!\w)"
    r"|the (?:rest|others)(?!\w)[^\d]*$"
    r"|d'ailleurs|por cierto|a propósito|кстати|顺便|ちなみに|참고로|"
    r"viel erfolg|ich hoffe|gern|danke|probe|bonne|j'espère|merci|espero|gracias|obrigad"
    r"|spero|grazie|надеюсь|спасибо|проверка|удачи|希望|谢谢|如果|验证|检验|ありがと|ご不明|お役|도움이|감사|أتمنى"
    r"|शुभ|hoffentlich|vérification|comprobación|verifica)",
    re.I,
)
"""A closing remark: no conclusion."""

INTENT = pattern(
    r"^[\W_]*+(?:first(?:ly)?\b|let(?:'s| us| me)\b|let |we (?:need|want|start|begin|must"
    r"|have to|first|know|are (?:given|told|asked|looking)|can|should|will)|i (?:need|want"
    r"|start|will|'ll|must|have to|am going|should|begin|would (?:start|begin|need|first"
    r"|add|try|like))|i'll|next\b|now (?:we|i|let|add|subtract|multiply|divide)|"
    r"to (?:find|solve|get|compute|calculate|determine|do|answer)|step \d|given\b|you "
    r"(?:ask|want|need|are (?:given|asked|told)|mention|gave|said|say|told|write|wrote)"
    r"|choose (?:between|one|from)"
    r"|find |calculate |compute |determine "
    r"|(?:try|check|test|add|ignore|forget|replace|subtract|multiply|divide|say it is"
    r"|say n is)(?!\w)(?!.*(?:[:=]|gives|makes"
    r"|leaves|to get|to obtain) *[$*]*\d[\d.,]*(?: \w+)?\W*$)|evaluate |simplify |solve |q:"
    r"|suppose|assume|consider|recall|start|begin|the "
    r"(?:question|problem|task|exercise|text|story|assignment)(?! (?:says|states|tells|shows"
    r"|implies|means|gives))(?!\w)|(?:what(?! (?:we|i|you|they|he|she) [^?]*(?<!\w)is )|how|which"
    r"|who|when|where|why)(?!\w)|if |zuerst|zunächst"
    r"|wir "
    r"(?:müssen|brauchen|wollen)|d'abord|primero|сначала|首先|まず|먼저)",
    re.I,
)
"""A sentence that sets out to do something, and concludes nothing."""

CONCLUDES = pattern(
    r"(?<!\w)(?:so|therefore|thus|hence|total|in total|altogether|all together|in all"
    r"|finally|overall|consequently|answer|result|final|this (?:means|gives|leaves|makes"
    r"|is|yields)|that (?:means|gives|leaves|makes|is)|which (?:gives|leaves|makes|means"
    r"|yields|is)|we (?:get|have|obtain|find|conclude)|gives|makes|leaves|yields|equals?"
    r"|conclude|left|"
    r"also|somit|daher|insgesamt|folglich|ergibt|donc|ainsi|au total|par conséquent|así"
    r"|por lo tanto|entonces|en total|portanto|logo|então|quindi|dunque|perciò|in totale"
    r"|поэтому|итак|значит|следовательно|всего|итого|dus|więc|zatem)(?!\w)|所以|因此|总共|一共|故|共"
    r"|したがって|よって|合計|따라서|그러므로|총|إذن|لذلك|المجموع|इसलिए|कुल|∴|=|\\therefore",
    re.I,
)

_IS = (
    r"is|are|was|were|equals?|=|gives?|gave|makes?|made|leaves?|yields?|totals?|be|becomes|became"
    r"|comes? (?:out )?(?:to|at)|came (?:out )?to|amounts? to|adds? up to|sums? to|brings? (?:us"
    r"|it) to"
    r"|i(?:'ll|'d| will| would)? (?:pick|choose|take|select|go (?:with|for)|settle (?:on|for)"
    r"|opt for|decide on)"
    r"|round(?:s|ed) (?:up |down |off )?to|left with|ends? up (?:with|at)|ended up with"
    r"|remain(?:s|ed)?|leaving|stands? at|holds? for|must be|consists? of|simplif(?:y|ies) to"
    r"|reduces? to|evaluates? to|expands? to|factors? (?:as|into|to)|to get|to obtain|to give"
    r"|to reach|works? out (?:to|at)|turns? out to be|ist|sind|beträgt|ergibt|bleiben|est|sont"
    r"|fait|vaut|mesure|reste|es|son|vale|mide|hay|quedan|é|são|è"
    r"|sono|restano|равно|равен|равна|осталось|получится"
)
_DOES = (
    r"has|have|had|gets?|got|costs?|needs?|pays?|earns?|takes?|took|sells?|sold|spends?|spent"
    r"|saves?"
    r"|bakes?|eats?|weighs?|receives?|owes?|works?|reads?|seats?|measures?|drives?|walks?|runs?"
    r"|uses?|buys?|bought|owns?|won|wins?"
    r"|keeps?|holds?|contains?|can|collects?|covers?|travels?|hat|haben|kostet|gibt|braucht"
    r"|coûte|tiene|cuesta|tem|há|ci sono|имеет|стоит|будет"
)
IS = pattern(rf"(?<![\w'])(?:{_IS})(?!\w)|是|为|等于|は|が|은|는|=|\u2248", re.I)
"""A verb or a sign that says what something is."""

STATES = pattern(rf"(?<![\w'])(?:{_IS}|{_DOES})(?!\w)|是|为|有|等于|は|が|은|는|=|\u2248", re.I)
"""The verb before what a sentence states."""

TRAILING = pattern(
    r"\s*(?:[,;\u2014\u2013(]\s*(?:since|because|as|which|so(?! [$*]{0,3}\d)|where|for|given|by"
    r"|that|i\.e"
    r"|meaning|after|if|when|hence|thus|therefore|and (?:so|that|this|it|therefore|we|not)"
    r"|not|assuming|using|based|considering|weil|da|denn|puisque|car|parce|porque|ya que"
    r"|pois|perché|poiché|так как|потому|что|因为|why|according|whereas|while|though"
    r"|although|but|with|rather|instead|exactly|rounded|including|in which)\b"
    r"|\s+and (?:this|that|it|which|so) (?:agrees|matches|is|fits|makes|also|checks"
    r"|confirms|was|works|can|has|does|equals)(?!\w)|(?<!\w)(?:since|because|weil|denn"
    r"|puisque|parce que|porque|ya que|perché|потому что|as (?:we|shown|required|desired"
    r"|expected|before|stated|the|you|can)|so that|due to|based on|according to|after "
    r"(?:all|rounding|adding|subtracting|buying|selling|giving)|which (?:is|means|was|are"
    r"|can|matches|makes)|where|i'm|i am|hope|if (?:we|you|the)|when (?:we|the|rounded)"
    r"|thanks to|for (?:this|the|these) (?:question|problem|exercise|task|reason)|to the "
    r"(?:question|problem)|from the|by (?:the|our|adding|using))(?!\w)|因为|،)",
    re.I,
)
"""Where the explanation behind an answer starts."""

REASON = pattern(
    r"\s*(?:\s(?:as|since|because) [$]?\d[\d.,]*(?: \w+)? would|[,;\u2014\u2013(]\s*(?:as (?:\d+"
    r"|we|he|she|it|there|the|they|this|that|only"
    r"|otherwise|a |an |one )|since|because|given|by|i\.e|meaning|if|assuming|using"
    r"|based|considering|weil|da|denn|puisque|car|parce|porque|ya que|pois|perché|poiché"
    r"|так как|потому|因为|according|whereas|while|though|although|rather|instead|rounded"
    r"|(?:and )?not(?![^.]{0,60}[:;\u2014])"
    r"|including)\b|\s+and not(?!\w)|[,\u3002]\s*(?:而?不是|而非)|(?<!\w)(?:since|because|weil"
    r"|puisque|parce que|porque"
    r"|perché|потому "
    r"что|due to|based on|according to)(?!\w)|因为)",
    re.I,
)
"""Where the reason behind a concluding sentence starts; `so` starts its conclusion."""

ENDINGS = pattern(
    r"(?:\s+it is|입니다|이에요|예요|이다|임|です|である|でした|となります|になります|だ|है|हैं|होगा|dır|dir|dur|dür|tır|tir|'dir"
    r"|'dır|'tür|'tir)[\s.!。।*_]*$",
    re.I,
)
"""Verbs that stand behind the answer."""

YES = frozenset(
    [
        "yes",
        "yep",
        "yeah",
        "true",
        "correct",
        "ja",
        "jawohl",
        "oui",
        "vrai",
        "sí",
        "sì",
        "si",
        "verdadero",
        "cierto",
        "sim",
        "verdadeiro",
        "vero",
        "да",
        "верно",
        "правда",
        "истина",
        "是",
        "是的",
        "对",
        "正确",
        "はい",
        "真",
        "예",
        "네",
        "참",
        "نعم",
        "صحيح",
        "हाँ",
        "हां",
        "सही",
        "tak",
        "prawda",
        "evet",
        "doğru",
        "đúng",
        "có",
        "yup",
        "wahr",
        "certainly",
        "absolutely",
        "affirmative",
    ]
)
NO = frozenset(
    [
        "no",
        "nope",
        "nah",
        "false",
        "incorrect",
        "nein",
        "non",
        "faux",
        "falso",
        "não",
        "nao",
        "нет",
        "неверно",
        "ложь",
        "否",
        "不是",
        "不",
        "不对",
        "错误",
        "错",
        "いいえ",
        "偽",
        "아니요",
        "아니오",
        "거짓",
        "لا",
        "خطأ",
        "नहीं",
        "गलत",
        "nie",
        "fałsz",
        "hayır",
        "yanlış",
        "sai",
        "không",
        "falsch",
        "nee",
        "onwaar",
        "negative",
    ]
)

COMMA_LANGUAGE = pattern(
    r"(?<!\w)(?:der|die|das|ist|und|antwort|ergibt|also|somit|la réponse|réponse|est|donc"
    r"|les|des|une|respuesta|es|el|los|por|entonces|resposta|é|são|então|portanto|risposta"
    r"|è|sono|quindi|dunque|il|antwoord|het|een|odpowiedź|wynosi|więc|cevap|yanıt|sonuç"
    r"|svar|svaret|är|vastaus|odpověď|je|đáp|là|jawaban|adalah|lösung|ergebnis|beträgt|lautet"
    r"|résultat|resultado|solución"
    r"|solução|risultato|soluzione|wynik|rozwiązanie|resultaat|oplossing|liter|euro|vaut|mesure"
    r"|coûte|sind|waren|hat|haben|kostet|zahlt|bleiben|insgesamt|er|sie|wir|paga|paie|cuesta"
    r"|custa|costa|cada|chaque"
    r"|ogni|persona|persone|pagan|ils|elle|nous|ellos|ella)(?!\w)|[\u0400-\u04ff]{2}"
)
"""Words of languages that write 3,5 for three and a half."""
