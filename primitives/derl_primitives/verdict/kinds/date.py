"""Dates and times: the same moment in any unambiguous spelling."""

from __future__ import annotations

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict.kinds.kind import Kind

_MONTHS: dict[str, int] = {}
for _n, _names in enumerate(
    (
        "january jan januar janvier enero gennaio janeiro января januari 1月", "february feb februar février fevrier febrero febbraio fevereiro февраля februari",
        "march mar märz mars marzo março marco марта maart", "april apr avril abril aprile апреля", "may mai mayo maggio maio мая mei",
        "june jun juni juin junio giugno junho июня", "july jul juli juillet julio luglio julho июля", "august aug août aout agosto августа augustus",
        "september sept sep septembre septiembre settembre setembro сентября", "october oct oktober octobre octubre ottobre outubro октября", "november nov novembre noviembre novembro ноября",
        "december dec dezember décembre decembre diciembre dicembre dezembro декабря",
    ),
    1,
):  # fmt: skip
    _MONTHS |= dict.fromkeys(_names.split(), _n)
_DAYS: dict[str, int] = {}
for _n, _names in enumerate(
    (
        "monday mon montag lundi lunes lunedì понедельник", "tuesday tue tues dienstag mardi martes martedì вторник", "wednesday wed mittwoch mercredi miércoles mercoledì среда", "thursday thu thurs donnerstag jeudi jueves giovedì четверг",
        "friday fri freitag vendredi viernes venerdì пятница", "saturday sat samstag samedi sábado sabato суббота", "sunday sun sonntag dimanche domingo domenica воскресенье",
    ),
):  # fmt: skip
    _DAYS |= dict.fromkeys(_names.split(), _n)
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ORDINAL = r"(?:st|nd|rd|th|er|º|°|\.)?"
_DATE = pattern(
    rf"(?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})(?!\d)"
    rf"|(?P<y2>\d{{4}})\s?年\s?(?P<m2>\d{{1,2}})\s?月\s?(?P<d2>\d{{1,2}})\s?日"
    rf"|(?P<y7>\d{{4}})\s?년\s?(?P<m7>\d{{1,2}})\s?월\s?(?P<d7>\d{{1,2}})\s?일"
    rf"|(?P<a>\d{{1,2}})[-/.](?P<b>\d{{1,2}})[-/.](?P<y3>\d{{4}})(?!\d)"
    rf"|(?<!\w)(?:the\s)?(?P<d4>\d{{1,2}}){_ORDINAL}[\s-]{{1,3}}(?:day of |of |de |di "
    rf")?(?P<m4>{_MONTH})(?!\w)\.?(?:[,\s-]{{1,3}}(?:of |de |del |di "
    rf")?(?P<y4>\d{{4}})(?!\d))?"
    rf"|(?<!\w)(?P<m5>{_MONTH})(?!\w)\.?\s{{0,2}}(?:the )?(?P<d5>\d{{1,2}})(?!\d)(?:st|nd"
    rf"|rd|th)?(?:[,\s]{{1,3}}(?:of )?(?P<y5>\d{{4}})(?!\d))?"
    rf"|(?<!\w)(?P<m6>{_MONTH})(?!\w)\.?,?\s(?:of |de )?(?P<y6>\d{{4}})(?!\d)"
)
_WORDED = {
    "noon": (12, 0),
    "midday": (12, 0),
    "12 noon": (12, 0),
    "midnight": (0, 0),
    "12 midnight": (0, 0),
}
_TIME = pattern(
    r"(?<![\d:])(?P<h>\d{1,2})(?:[:h]"
    r"|\.(?=\d\d\s?(?:[ap]\.?m|uhr)))(?P<m>\d{2})(?::(?P<s>\d{2}))?\s?(?P<p>[ap]\.?\s?m(?:\."
    r"|(?!\w))|uhr|o'clock)?(?![:\d])"
    r"|(?<![\d:.])(?P<h2>\d{1,2})\s?(?P<p2>[ap]\.?\s?m(?:\.|(?!\w))|o'clock(?: in the "
    r"(?P<part>morning|afternoon|evening))?|uhr)"
    r"|(?<![\d:])(?P<h3>\d{1,2})\s?[点時시]\s?(?:(?P<m3>\d{1,2})\s?[分분])?"
    r"|(?<!\w)(?P<word>noon|midday|midnight)(?!\w)|(?<!\d)(?P<h4>[01]\d"
    r"|2[0-3])(?P<m4>[0-5]\d)\s?(?:hours|hrs|h)(?!\w)"
    r"|(?P<how>half|quarter|five|ten|twenty|twenty-five|\d{1,2}(?= minutes? (?:past|to)))(?: minutes?)? (?P<rel>past|to) (?P<h5>\d{1,2}|one|two|three|four|five|six"
    r"|seven|eight|nine|ten|eleven|twelve)\s?(?P<p5>[ap]\.?m\.?)?"
)
_MINUTES = {"half": 30, "quarter": 15, "five": 5, "ten": 10, "twenty": 20, "twenty-five": 25}
_HOURS = {
    w: i
    for i, w in enumerate(
        [
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ],
        1,
    )
}
_DAY = pattern(r"(?<!\w)(?:" + "|".join(sorted(_DAYS, key=len, reverse=True)) + r")(?!\w)")
_PART = pattern(
    r"in the (morning|afternoon|evening)|at night|des nachmittags|(?<!\w)(?:下午|上午|午後|午前|晚上"
    r"|오후|오전)|de la (tarde|mañana)|du (?:soir|matin)"
)


_RANGE = pattern(
    r"(?<!\w)(?:between|from|either) (?:\w+ )?\d{1,2}[^.]{0,24}? (?:and|to|or) |(?:\d"
    r"|[ap]\.?m\.?) (?:or|oder|ou|o) "
    r"(?:\w+ )?\d"
)
"""Two moments, of which none was chosen."""


@record
class Moment:
    """A date, a time or both; what is not said is None. `half` says whether AM or PM is known."""

    date: tuple[int | None, int, int | None] | None = None
    time: tuple[int, int, int] | None = None
    half: bool = True
    weekday: int | None = None


def _dates(text: str) -> list[tuple[tuple[int | None, int, int | None], int, int]]:
    found: list[tuple[tuple[int | None, int, int | None], int, int]] = []
    for m in _DATE().finditer(text):
        year = next((int(m[k]) for k in ("y", "y2", "y3", "y4", "y5", "y6", "y7") if m[k]), None)
        if m["a"]:
            first, second = int(m["a"]), int(m["b"])
            if first <= 12 and second <= 12 and first != second:
                continue  # day or month: in doubt
            month, day = (first, second) if second > 12 or first == second else (second, first)
        else:
            name = m["m4"] or m["m5"] or m["m6"]
            month = _MONTHS[name] if name else int(m["m"] or m["m2"] or m["m7"])
            text_day = m["d"] or m["d2"] or m["d4"] or m["d5"] or m["d7"]
            day = int(text_day) if text_day else None  # type: ignore[assignment]
        if 1 <= month <= 12 and (day is None or 1 <= day <= 31):
            found.append(((year, month, day), m.start(), m.end()))
    return found


def _times(text: str) -> list[tuple[tuple[int, int, int], bool, int, int]]:
    found = []
    part = _PART().search(text)
    for m in _TIME().finditer(text):
        if m["word"]:
            time, known = (*_WORDED[m["word"]], 0), True
        elif m["how"]:
            hour = int(m["h5"]) if m["h5"].isdigit() else _HOURS[m["h5"]]
            minute = _MINUTES[m["how"]] if m["how"] in _MINUTES else int(m["how"])
            if m["rel"] == "to":
                hour, minute = hour - 1, 60 - minute
            time, known = _halved(hour, minute, 0, m["p5"] or (part and part.group()))
        else:
            hour = int(m["h"] or m["h2"] or m["h3"] or m["h4"])
            minute = int(m["m"] or m["m3"] or m["m4"] or 0)
            half = m["p"] or m["p2"] or (part and part.group()) or ""
            time, known = _halved(hour, minute, int(m["s"] or 0), half)
            if (
                m["h4"]
                or "uhr" in half
                or (m["h"] and m["h"].startswith("0") and not half)
                or (m["h"] and "h" in m.group() and not half)
            ):
                known = True
        if time[0] < 25 and time[1] < 60:
            found.append((time, known, m.start(), m.end()))
    return found


def _halved(
    hour: int, minute: int, second: int, half: str | None
) -> tuple[tuple[int, int, int], bool]:
    half = (half or "").replace(".", "").replace(" ", "")
    if (
        half.endswith("am")
        or "morning" in half
        or half in ("上午", "午前", "오전", "delamañana", "dumatin")
    ):
        return (hour % 12 if hour <= 12 else hour, minute, second), True
    if half.endswith("pm") or any(
        w in half
        for w in (
            "afternoon",
            "evening",
            "night",
            "下午",
            "午後",
            "晚上",
            "오후",
            "tarde",
            "soir",
            "nachmittag",
        )
    ):
        return (hour % 12 + 12 if hour <= 12 else hour, minute, second), True
    return (hour % 24, minute, second), hour > 12 or hour == 0


def _moment(text: str, whole: bool) -> Moment | None:
    text = " ".join(text.casefold().split()).strip(" .!")
    if _RANGE().search(text):
        return None
    dates = _dates(text)
    rest = text
    if dates:
        _, start, end = dates[-1]
        rest = text[:start] + " " + text[end:]
    times = _times(rest)
    if whole and (len(dates) > 1 or len(times) > 1):
        return None
    if not dates and not times:
        return None
    if whole:
        for _, _, start, end in times[::-1]:
            rest = rest[:start] + " " + rest[end:]
        rest = _PART().sub(" ", _DAY().sub(" ", rest))
        left = [
            w
            for w in rest.replace(",", " ").split()
            if w
            not in (
                "on",
                "at",
                "the",
                "in",
                "am",
                "le",
                "um",
                "date",
                "time",
                ".",
                "il",
                "el",
                "a",
                "uhr",
                "of",
                "at:",
            )
        ]
        if left:
            return None
    day = _DAY().search(text)
    date = dates[-1][0] if dates else None
    time, known = (times[-1][0], times[-1][1]) if times else (None, True)
    return Moment(date, time, known, _DAYS[day.group()] if day else None)


def _gold(text: str) -> Moment | None:
    return _moment(text, whole=True)


def _given(text: str, gold: Moment, comma: bool) -> Moment | None:
    del comma, gold
    return _moment(text, whole=False)


def _same(given: Moment, gold: Moment) -> bool:
    if gold.date is not None:
        if given.date is None:
            return False
        year, month, day = gold.date
        if (month, day) != given.date[1:] or (year is not None and given.date[0] != year):
            return False
    if gold.weekday is not None and given.weekday is not None and gold.weekday != given.weekday:
        return False
    if gold.time is None:
        return gold.date is not None
    if given.time is None:
        return False
    if given.time == gold.time:
        return True
    loose = not given.half or not gold.half
    return (
        loose
        and not (given.half and gold.half)
        and (given.time[0] - gold.time[0]) % 12 == 0
        and given.time[1:] == gold.time[1:]
        and not gold.half
    )


KIND = Kind("date or time", _gold, _given, _same, _given)
