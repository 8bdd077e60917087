"""Units: what they measure and how large they are, in one table of atoms.

`unit_of("kilometers per hour")` is a `Unit` whose `dims` says length^1 time^-1 and whose `factor`
is exact, so that 1.5 m and 150 cm are one amount. Words that are no unit here ("apples") have
no dims; they are compared as words.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache, lru_cache

from derl_grammar.records import record
from derl_primitives.patterns import pattern


@record
class Unit:
    """A unit: what it measures, how large it is, and the words it was written in."""

    dims: tuple[tuple[str, int], ...] | None
    factor: Fraction
    words: frozenset[str]


_ATOMS = """
length 1: m meter meters metre metres mètre mètres metro metros metri метр метра метров 米 メートル 미터
length 1/1000: mm millimeter millimeters millimetre millimetres
length 1/100: cm centimeter centimeters centimetre centimetres zentimeter centímetros centimètres см сантиметров 厘米 センチメートル 센티미터
length 1/10: dm decimeter decimeters decimetre
volume 1/10000: dL dl deciliter deciliters decilitre decilitres
length 1000: km kilometer kilometers kilometre kilometres kms kilometros kilómetros kilomètres км километров километра 公里 千米 キロメートル 킬로미터
length 1/1000000: µm μm micrometer micrometers micron microns
length 1/1000000000: nm nanometer nanometers
length 0.0254: in inch inches
length 0.3048: ft foot feet
length 0.9144: yd yds yard yards
length 1609.344: mi mile miles
mass 1: g gram grams gramme grammes gramm gramos г грамм 克 グラム
mass 1/1000: mg milligram milligrams
mass 1000: kg kgs kilogram kilograms kilo kilos kilogramm kilogrammes kilogramos кг килограмм килограммов 千克 公斤 キログラム 킬로그램
mass 1000000: t tonne tonnes ton tons
mass 453.59237: lb lbs
mass 28.349523125: oz ounce ounces
time 1: s sec secs second seconds sekunde sekunden seconde secondes segundo segundos секунд секунды 秒 초
time 1/1000: ms millisecond milliseconds
time 60: min mins minute minutes minuten minuto minutos minuti минут минуты 分钟 分 분
time 3600: h hr hrs hour hours stunde stunden heure heures hora horas ora ore час часа часов 小时 時間 시간
time 86400: day days tag tage tagen jour jours día días dia dias giorno giorni день дня дней 天 日間 일
time 604800: week weeks woche wochen semaine semaines semana semanas недель недели 周 週間 주
month 1: month months monat monate mois mes meses mesi
month 12: year years yr yrs jahr jahre an ans année années año años ano anos anni год года лет 年 岁
volume 1/1000: L l liter liters litre litres litro litros литр литров 升 リットル 리터
volume 1/1000000: mL ml milliliter milliliters millilitre millilitres cc
volume 1/100000: cL cl centiliter centiliters
volume 0.003785411784: gal gallon gallons
volume 0.000946352946: qt quart quarts
volume 0.000473176473: pt pint pints
volume 0.0002365882365: cup cups
volume 0.0000147867648: tablespoon tablespoons tbsp
volume 0.00000492892159: teaspoon teaspoons tsp
area 4046.8564224: acre acres
area 10000: ha hectare hectares
angle 1: ° degree degrees grad graus градусов 度
angle_radian 1: rad radian radians
angle 1/60: arcminute arcminutes
celsius 1: °C ℃ celsius degC
fahrenheit 1: °F ℉ fahrenheit degF
kelvin 1: K kelvin kelvins
force 1: N newton newtons
force 1000: kN kilonewton kilonewtons
energy 1: J joule joules
energy 1000: kJ kilojoule kilojoules
energy 3600000: kWh
energy 4.184: cal calorie calories
energy 4184: kcal kilocalorie kilocalories
power 1: W watt watts
power 1000: kW kilowatt kilowatts
voltage 1: V volt volts
current 1: A amp amps ampere amperes
current 1/1000: mA milliamp milliamps
resistance 1: Ω ohm ohms
frequency 1: Hz hertz
frequency 1000: kHz kilohertz
frequency 1000000: MHz megahertz
pressure 1: Pa pascal pascals
pressure 1000: kPa kilopascal kilopascals
pressure 101325: atm atmosphere atmospheres
amount 1: mol mole moles
data 1: byte bytes B
data 1000: kB KB kilobyte kilobytes
data 1000000: MB megabyte megabytes
data 1000000000: GB gigabyte gigabytes
data 1000000000000: TB terabyte terabytes
data 1/8: bit bits
usd 1: $ usd dollar dollars us$ bucks dólares dólar доллар долларов доллара 美元 ドル 달러
usd 1/100: cent cents ¢ c pennies centavos 美分
usd 1/4: quarters_coin
eur 1: € eur euro euros евро 欧元 ユーロ 유로
gbp 1: £ gbp pound pounds sterling quid
gbp 1/100: p pence penny
jpy 1: yen jpy 円 日元 엔
cny 1: yuan rmb cny 元 块 人民币
inr 1: ₹ inr rs rs. rupee rupees रुपये रुपए
rub 1: ₽ rub ruble rubles roubles рубль рублей рубля
krw 1: ₩ won krw 원
chf 1: chf franken francs
yen_or_yuan 1: ¥
cad 1: cad
aud 1: aud
"""
_SPEEDS = {
    "mph": ("mi", "h"), "kph": ("km", "h"), "kmh": ("km", "h"), "kmph": ("km", "h"), "mps": ("m", "s"), "fps": ("ft", "s"),
}  # fmt: skip
_CASED = frozenset(["L", "K", "N", "J", "W", "V", "A", "B"])
_BASE = {"volume": ("length", 3), "area": ("length", 2)}
_PIECE = pattern(
    r"(?P<per>/|per(?![a-z])|pro(?![a-z])|par(?![a-z])|por(?![a-z]))"
    r"|(?P<pow>\^\s*\{?\s*(?P<n>-?\d)\s*\}?|\*\*\s*(?P<n2>-?\d))|(?P<sq>square|sq\.?(?=\s)"
    r"|squared|quadrat(?=[a-z])|cubic|cubed|cu\.?(?=\s))(?![a-z])"
    r"|(?P<word>[$\u20ac\u00a3\u00a5\u20b9\u20bd\u20a9\u00a2\u00b0\u2103\u2109][CF]?(?![a-"
    r"z])|(?:us\$)|[^\W\d_]+(?:[-'][^\W\d_]+)*)|(?P<skip>[\s.*\u00b7{}()_-]+)|(?P<other>.)",
)
_DEGREES = pattern(r"(?:^|(?<=\s))degrees? (celsius|Celsius|fahrenheit|Fahrenheit)(?![A-Za-z])")
_FILLERS = frozenset(
    [
        "of",
        "the",
        "in",
        "total",
        "left",
        "each",
        "altogether",
        "a",
        "an",
        "more",
        "all",
        "only",
        "us",
        "remaining",
        "now",
        "exactly",
        "long",
        "tall",
        "wide",
        "deep",
        "high",
        "away",
        "old",
        "worth",
        "away",
        "all",
        "apart",
        "away",
        "so",
        "far",
        "together",
    ]
)


@cache
def _table() -> dict[str, tuple[str, Fraction]]:
    table: dict[str, tuple[str, Fraction]] = {}
    for line in _ATOMS.strip().splitlines():
        head, _, names = line.partition(":")
        base, factor = head.split()
        for name in names.split():
            table[name] = (base, Fraction(factor))
    return table


@lru_cache(maxsize=4096)
def unit_of(text: str) -> Unit | None:
    """The unit that a text names, None for a blank text and for what can be no unit.

    >>> unit_of("km/h").dims == unit_of("kilometers per hour").dims, unit_of("apples").dims
    (True, None)
    >>> unit_of("cm").factor, unit_of("square cm").dims
    (Fraction(1, 100), (('length', 2),))
    """
    text = _DEGREES().sub(r" \1", text)
    dims: dict[str, int] = {}
    factor = Fraction(1)
    words: set[str] = set()
    sign, power, last = 1, 1, None
    known = True
    for match in _PIECE().finditer(text):
        kind = match.lastgroup
        if match["skip"]:
            continue
        if match["per"]:
            sign, power = -1, 1
        elif match["pow"] or match["sq"] in ("squared", "cubed"):
            if last is None:
                return None
            n = int(match["n"] or match["n2"] or (2 if match["sq"] == "squared" else 3))
            base, size, how = last
            dims[base] = dims.get(base, 0) + how * (n - 1)
            factor *= size ** (how * (n - 1))
        elif match["sq"]:
            power = 3 if match["sq"].startswith("cu") else 2
        elif match["word"]:
            word = match["word"]
            if word.lower() in _FILLERS and word not in ("in",):
                continue
            if word == "in" and (dims or words):
                continue
            atom = _atom(word)
            if atom is None:
                known = False
                words.add(word.lower())
                continue
            words.add(word.lower())
            for base, size, exponent in atom:
                dims[base] = dims.get(base, 0) + sign * power * exponent
                factor *= size ** (sign * power * exponent)
                last = (base, size, sign * exponent)
            power = 1
        elif kind == "other":
            return None
    if not words:
        return None
    if not known and dims and not words - {w for w in words if _atom(w) is not None}:
        known = True
    if not known:
        # `5 meters of rope`: the first word decides what the amount is of.
        first = next(
            (
                m["word"]
                for m in _PIECE().finditer(text)
                if m["word"] and m["word"].lower() not in _FILLERS
            ),
            None,
        )
        if first is None or _atom(first) is None or not dims:
            return Unit(None, Fraction(1), frozenset(words))
    return Unit(_based(dims), factor, frozenset(words))


def _based(dims: dict[str, int]) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for base, n in dims.items():
        name, times = _BASE.get(base, (base, 1))
        found[name] = found.get(name, 0) + n * times
    return tuple(sorted((b, n) for b, n in found.items() if n))


def _atom(word: str) -> list[tuple[str, Fraction, int]] | None:
    table = _table()
    if word.lower() in _SPEEDS:
        far, time = _SPEEDS[word.lower()]
        return [(*table[far], 1), (*table[time], -1)]
    found = table.get(word) or (
        table.get(word.lower()) if len(word) > 1 or word.lower() in ("m", "g", "s", "h") else None
    )
    if found is None and word.lower().startswith("quadrat"):
        inner = table.get(word.lower().removeprefix("quadrat"))
        return [(inner[0], inner[1], 2)] if inner else None
    return [(*found, 1)] if found else None


def agree(given: Unit | None, gold: Unit | None) -> Fraction | None:
    """What an amount in `given` is multiplied by to stand in `gold`; None when they differ.

    A unit that is missing on one side is forgiven.
    """
    if given is None or gold is None:
        return Fraction(1)
    if given.dims is not None and gold.dims is not None:
        if given.dims == gold.dims:
            return given.factor / gold.factor
        if _pounds(given) and _pounds(gold):
            return Fraction(1)
        if {given.dims, gold.dims} <= {
            (("yen_or_yuan", 1),),
            (("jpy", 1),),
            (("cny", 1),),
        } and "¥" in given.words | gold.words:
            return Fraction(1)
        if _ambiguous_degree(given, gold):
            return Fraction(1)
        return None
    if given.dims is None and gold.dims is None:
        return Fraction(1) if _stems(given) & _stems(gold) else None
    return Fraction(1) if _stems(given) & _stems(gold) else None


def _pounds(unit: Unit) -> bool:
    return bool(unit.words & {"pound", "pounds", "lb", "lbs"})


def _ambiguous_degree(a: Unit, b: Unit) -> bool:
    temperatures = ((("celsius", 1),), (("fahrenheit", 1),))
    plain = (("angle", 1),)
    return (a.dims == plain and b.dims in temperatures) or (
        b.dims == plain and a.dims in temperatures
    )


def _stems(unit: Unit) -> set[str]:
    return {w[:-3] + "y" if w.endswith("ies") else w.rstrip("s") for w in unit.words}
