"""What models hand in as programs, one of each kind, with the tests it passes."""
# ruff: noqa: E501 - programs as they were written

from __future__ import annotations

import json

ADD = ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]


def _io(*pairs: tuple[str, str]) -> list[str]:
    return [json.dumps({"input": given, "output": printed}) for given, printed in pairs]


PASSING: dict[str, tuple[str, list[str]]] = {
    "a function": ("def add(a, b):\n    return a + b", ADD),
    "type hints": ("def add(a: int, b: int) -> int:\n    return a + b", ADD),
    "typing": (
        "from typing import Optional, List, Dict\n"
        "def add(a: int, b: Optional[int] = None) -> int:\n    return a + (b or 0)",
        ADD,
    ),
    "annotations from the future": (
        "from __future__ import annotations\ndef add(a: int | None, b: int) -> int:\n    return a + b",
        ADD,
    ),
    "a docstring": ('def add(a, b):\n    """Add.\n\n    >>> add(1, 2)\n    3\n    """\n    return a + b', ADD),
    "print in a function": ("def add(a, b):\n    print('adding', a, b)\n    return a + b", ADD),
    "a main block": (
        "def add(a, b):\n    return a + b\n\nif __name__ == '__main__':\n    print(add(1, 1))",
        ADD,
    ),
    "lambda": ("add = lambda a, b: a + b", ADD),
    "a class": (
        "class Stack:\n    def __init__(self):\n        self.items = []\n"
        "    def push(self, x):\n        self.items.append(x)\n    def pop(self):\n        return self.items.pop()",
        ["s = Stack()\ns.push(4)\nassert s.pop() == 4"],
    ),
    "LeetCode's class": (
        "from typing import List\nclass Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n"
        "        seen = {}\n        for i, n in enumerate(nums):\n            if target - n in seen:\n"
        "                return [seen[target - n], i]\n            seen[n] = i\n        return []",
        ["assert Solution().twoSum([2, 7, 11], 9) == [0, 1]"],
    ),
    "inheritance": (
        "from abc import ABC, abstractmethod\nclass Shape(ABC):\n    @abstractmethod\n    def area(self): ...\n"
        "class Square(Shape):\n    def __init__(self, a):\n        self.a = a\n    def area(self):\n        return self.a ** 2",
        ["assert Square(3).area() == 9"],
    ),
    "a dataclass": (
        "from dataclasses import dataclass, field\n@dataclass(order=True)\nclass P:\n    x: int\n    tags: list = field(default_factory=list)",
        ["assert P(1) < P(2)", "assert P(1).tags == []"],
    ),
    "an enum": (
        "from enum import Enum\nclass C(Enum):\n    RED = 1\n\ndef name(v):\n    return C(v).name",
        ["assert name(1) == 'RED'"],
    ),
    "a decorator": (
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def g(*a):\n        return 2 * f(*a)\n    return g\n"
        "@twice\ndef one():\n    return 1",
        ["assert one() == 2"],
    ),
    "collections": (
        "from collections import Counter, defaultdict, deque\ndef top(s):\n    return Counter(s).most_common(1)[0][0]",
        ["assert top('abbc') == 'b'"],
    ),
    "heapq": (
        "import heapq\ndef smallest(xs, k):\n    return heapq.nsmallest(k, xs)",
        ["assert smallest([3, 1, 2], 2) == [1, 2]"],
    ),
    "itertools": (
        "from itertools import permutations\ndef count(xs):\n    return len(set(permutations(xs)))",
        ["assert count([1, 1, 2]) == 3"],
    ),
    "functools": (
        "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)",
        ["assert fib(90) == 2880067194370816120"],
    ),
    "bisect": ("import bisect\ndef at(xs, x):\n    return bisect.bisect_left(xs, x)", ["assert at([1, 3], 2) == 1"]),
    "math": ("import math\ndef hyp(a, b):\n    return math.hypot(a, b)", ["assert hyp(3, 4) == 5.0"]),
    "re": ("import re\ndef words(s):\n    return re.findall(r'\\w+', s)", ["assert words('a, b') == ['a', 'b']"]),
    "string": ("import string\ndef letters():\n    return len(string.ascii_lowercase)", ["assert letters() == 26"]),
    "random with a seed": (
        "import random\ndef draw():\n    rng = random.Random(7)\n    return [rng.random() for _ in range(2)]",
        ["assert draw() == draw()"],
    ),
    "fractions and decimal": (
        "from fractions import Fraction\nfrom decimal import Decimal\ndef half():\n    return Fraction(1, 2) + Fraction(Decimal('0.5'))",
        ["assert half() == 1"],
    ),
    "json and datetime": (
        "import json, datetime\ndef year(s):\n    return datetime.date.fromisoformat(json.loads(s)['d']).year",
        ["assert year('{\"d\": \"2020-02-29\"}') == 2020"],
    ),
    "recursion to ten thousand": (
        "import sys\nsys.setrecursionlimit(20000)\ndef depth(n):\n    return 0 if n == 0 else 1 + depth(n - 1)",
        ["assert depth(9000) == 9000"],
    ),
    "a generator": (
        "def squares(n):\n    for i in range(n):\n        yield i * i",
        ["assert list(squares(3)) == [0, 1, 4]"],
    ),
    "match": (
        "def kind(x):\n    match x:\n        case []:\n            return 'empty'\n        case [_, *_]:\n            return 'list'\n"
        "        case _:\n            return 'other'",
        ["assert kind([1]) == 'list'", "assert kind(1) == 'other'"],
    ),
    "an exception of its own": (
        "class Bad(ValueError):\n    pass\ndef check(x):\n    if x < 0:\n        raise Bad(x)\n    return x",
        ["try:\n    check(-1)\nexcept ValueError:\n    pass\nelse:\n    assert check(1) == 0"],
    ),
    "input and print": ("a, b = map(int, input().split())\nprint(a + b)", _io(("1 2\n", "3\n"), ("5 -5\n", "0\n"))),
    "sys.stdin": (
        "import sys\ndef main():\n    data = sys.stdin.read().split()\n    print(sum(map(int, data[1:])))\n\nmain()",
        _io(("3\n1 2 3\n", "6\n")),
    ),
    "stdin line by line": (
        "import sys\nfor line in sys.stdin:\n    print(line.strip()[::-1])",
        _io(("abc\nde\n", "cba\ned\n")),
    ),
    "a script with a main guard": (
        "def solve():\n    n = int(input())\n    print(*range(n), sep=', ')\n\nif __name__ == '__main__':\n    solve()",
        _io(("3\n", "0, 1, 2\n")),
    ),
}  # fmt: skip
