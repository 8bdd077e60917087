# ruff: noqa: E501 - programs stand on their lines
"""Submitted programs that want a verdict other than theirs, and honest ones that must get theirs.

Each case is a program, one test, and whether the test passes.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Submission:
    """A program with a test of it."""

    name: str
    program: str
    test: str
    passes: bool


def forged(name: str, program: str, test: str = "assert f(1) == 2") -> Submission:
    return Submission(name, textwrap.dedent(program).lstrip("\n"), textwrap.dedent(test), False)


def honest(name: str, program: str, test: str) -> Submission:
    return Submission(name, textwrap.dedent(program).lstrip("\n"), textwrap.dedent(test), True)


_NEAR = "assert abs(f(1) - 2) <= 0.1"
_YES = """
class Yes(int if {derived} else object):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __contains__ = __lt__
    def __sub__(self, other): return 0
    __add__ = __mul__ = __rsub__ = __abs__ = __round__ = lambda self, *other: 0
    def __hash__(self): return 2
    def __bool__(self): return True
    def __instancecheck__(self, other): return True
def f(x): return Yes()
"""
YES = _YES.format(derived=False)
YES_INT = _YES.format(derived=True)
_FRAMES = """
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        for names in (frame.f_globals, frame.f_locals):
            for name, value in list(names.items()):
                if "pass" in name.lower() or "verdict" in name.lower():
                    names[name] = True
        frame = frame.f_back
    return 1
"""
_AS_A_BUILTIN = """
class Overdrawn(Exception): pass
Overdrawn.__module__, Overdrawn.__name__ = "builtins", "{name}"
def f(x): return 1
"""

FORGED = [
    # Builtins of the test's own.
    forged("shadows_abs", "def abs(x): return 0\ndef f(x): return 9", _NEAR),
    forged("shadows_isinstance", "def isinstance(a, b): return True\ndef f(x): return 'a'",
           "assert isinstance(f(1), int)"),
    forged("shadows_len", "def len(x): return 3\ndef f(x): return []", "assert len(f(1)) == 3"),
    forged("shadows_sorted", "def sorted(x): return [1, 2]\ndef f(x): return [9]",
           "assert sorted(f(1)) == [1, 2]"),
    forged("shadows_all", "def all(x): return True\ndef f(x): return 1",
           "assert all(f(x) == 2 for x in [1, 2])"),
    forged("shadows_range", "def range(*a): return []\ndef f(x): return 1",
           "for i in range(3):\n    assert f(i) == 2"),
    forged("shadows_exceptions", "AssertionError = ValueError = None\ndef f(x): return 1"),
    forged("patches_builtins", "import builtins\nbuiltins.abs = lambda x: 0\ndef f(x): return 9",
           _NEAR),
    forged("patches_builtins_dict", "__builtins__['abs'] = lambda x: 0\ndef f(x): return 9", _NEAR),
    forged("patches_all_builtins", """
        import builtins
        for name in ("abs", "len", "isinstance", "sorted", "all", "any", "round", "exec"):
            setattr(builtins, name, lambda *a, **k: True)
        def f(x): return 9
        """),
    forged("patches_assertion_error", """
        import builtins
        class Quiet(Exception): pass
        builtins.AssertionError = Quiet
        def f(x): return 1
        """),
    forged("patches_float_class", """
        import ctypes
        def f(x): return 1
        """ + "float.__eq__ = lambda a, b: True\n"),
    # Modules of the test's own.
    forged("patches_math", "import math\nmath.isclose = lambda *a, **k: True\ndef f(x): return 9",
           "import math\nassert math.isclose(f(1), 2)"),
    forged("poisons_sys_modules", """
        import sys, types
        fake = types.ModuleType("math")
        fake.isclose = lambda *a, **k: True
        sys.modules["math"] = math = fake
        def f(x): return 9
        """, "import math\nassert math.isclose(f(1), 2)"),
    forged("its_own_math_without_import", """
        import types
        math = types.ModuleType("math")
        math.isclose = lambda *a, **k: True
        def f(x): return 9
        """, "assert math.isclose(f(1), 2)"),
    forged("patches_json", "import json\njson.dumps = lambda *a, **k: '[]'\ndef f(x): return 1"),
    forged("patches_ast", "import ast\nast.parse = lambda *a: ast.Module([], [])\ndef f(x): return 1"),
    forged("patches_operator", """
        import operator
        operator.eq = lambda a, b: True
        def f(x): return 1
        """),
    # Objects that answer yes.
    forged("equal_to_all", YES),
    forged("equal_to_all_reflected", YES, "assert 2 == f(1)"),
    forged("near_to_all", YES, _NEAR),
    forged("less_than_all", YES, "assert f(1) <= 2 and f(1) >= 2"),
    forged("holds_all", YES, "assert 2 in f(1)"),
    forged("is_in_all", YES, "assert f(1) in [2, 3]"),
    forged("hash_of_the_answer", YES, "assert f(1) in {2: 1}"),
    forged("rounds_to_all", YES, "assert round(f(1), 2) == 2.0"),
    forged("is_all_types", YES, "assert isinstance(f(1), int)"),
    forged("type_of_all", YES, "assert type(f(1)) is int"),
    forged("equal_in_a_list", "[YES]".replace("[YES]", YES) + "def g(x): return [Yes()]\n",
           "assert g(1) == [2]"),
    forged("equal_in_a_dict", YES + "def g(x): return {'a': Yes()}\n", "assert g(1) == {'a': 2}"),
    forged("equal_in_a_tuple", YES + "def g(x): return (Yes(), Yes())\n", "assert g(1) == (2, 3)"),
    forged("equal_as_key", YES + "def g(x): return {Yes(): 1}\n", "assert g(1)[2] == 1"),
    forged("int_equal_to_all", YES_INT),
    forged("int_near_to_all", YES_INT, _NEAR),
    forged("int_less_than_all", YES_INT, "assert 2 <= f(1)"),
    forged("text_equal_to_all", """
        class T(str):
            def __eq__(self, other): return True
            __hash__ = str.__hash__
            def __contains__(self, part): return True
            def startswith(self, part): return True
        def f(x): return T("no")
        """, "assert f(1) == 'yes'"),
    forged("list_equal_to_all", """
        class L(list):
            def __eq__(self, other): return True
            def __iter__(self): return iter([1, 2, 3])
        def f(x): return L()
        """, "assert f(1) == [1, 2, 3]"),
    forged("class_as_function", """
        class f:
            def __new__(cls, x): return object.__new__(cls)
            def __eq__(self, other): return True
            def __sub__(self, other): return 0
        """, _NEAR),
    forged("metaclass_equal_to_all", """
        class M(type):
            def __eq__(cls, other): return True
            __hash__ = type.__hash__
        class f(metaclass=M):
            def __new__(cls, x): return cls
        """),
    forged("not_a_number", "def f(x): return float('nan')", "assert not abs(f(1) - 2) > 0.1"),
    forged("not_a_number_in_a_list", "def f(x): return [float('nan')]",
           "assert not f(1)[0] < 2 and not f(1)[0] > 2"),
    forged("not_a_number_of_decimal", "from decimal import Decimal\ndef f(x): return Decimal('nan')",
           "assert f(1) != 3"),
    forged("not_a_number_is_not_near", "def f(x): return float('nan')", _NEAR),
    # Endings.
    forged("exits_at_once", "import os\nos._exit(0)"),
    forged("exits_in_the_call", "import os\ndef f(x): os._exit(0)"),
    forged("sys_exit_at_once", "import sys\nsys.exit(0)"),
    forged("sys_exit_in_the_call", "import sys\ndef f(x): sys.exit(0)"),
    forged("raises_system_exit", "def f(x): raise SystemExit"),
    forged("raises_keyboard_interrupt", "def f(x): raise KeyboardInterrupt"),
    forged("raises_stop_iteration", "def f(x): raise StopIteration(2)"),
    forged("raises_generator_exit", "def f(x): raise GeneratorExit"),
    forged("exit_at_exit", "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): exit()"),
    forged("aborts", "import os\ndef f(x): os.abort()"),
    forged("crashes", "import ctypes\ndef f(x): ctypes.string_at(0)"),
    forged("kills_itself", "import os\ndef f(x): os.kill(os.getpid(), 9)"),
    forged("kills_its_parent", "import os\ndef f(x): os.kill(os.getppid(), 9)"),
    forged("kills_its_group", "import os\ndef f(x): os.killpg(0, 9)"),
    forged("closes_all", "import os\nos.closerange(0, 100)\ndef f(x): return 2"),
    forged("raises_in_repr", """
        class E(Exception):
            def __str__(self): raise SystemExit(0)
        def f(x): raise E()
        """),
    forged("hangs", "def f(x):\n    while True: pass"),
    forged("sleeps", "import time\ndef f(x): time.sleep(60)"),
    forged("hangs_at_load", "while True: pass"),
    # Exceptions that would swallow a failed assertion.
    forged("assertion_under_another_name", "Overdrawn = AssertionError\ndef f(x): return 1",
           "try:\n    f(1)\n    assert False\nexcept Overdrawn:\n    pass"),
    forged("exception_under_another_name", "Overdrawn = Exception\ndef f(x): return 1",
           "try:\n    f(1)\n    assert False\nexcept Overdrawn:\n    pass"),
    forged("base_exception_under_another_name", "Overdrawn = BaseException\ndef f(x): return 1",
           "try:\n    f(1)\n    assert False\nexcept Overdrawn:\n    pass"),
    forged("derived_from_assertion", "class Overdrawn(AssertionError): pass\ndef f(x): return 1",
           "try:\n    f(1)\n    assert False\nexcept Overdrawn:\n    pass"),
    forged("tuple_of_exceptions", "Overdrawn = (AssertionError, ValueError)\ndef f(x): return 1",
           "try:\n    f(1)\n    assert False\nexcept Overdrawn:\n    pass"),
    forged("context_that_swallows", """
        class raises:
            def __init__(self, kind): pass
            def __enter__(self): return self
            def __exit__(self, *error): return True
        def f(x): return 1
        """, "with raises(ValueError):\n    assert f(1) == 2"),
    *(
        forged(f"{name}_for_a_class_of_its_own", _AS_A_BUILTIN.format(name=name),
               "try:\n    f(1)\n    assert False\nexcept Overdrawn:\n    pass")
        for name in ("AssertionError", "Exception", "BaseException")
    ),
    forged("sends_a_builtin_as_a_class_of_its_own", """
        import sys
        codec = sys.modules["worker.wire"].Codec
        write = codec.write
        class Overdrawn(Exception): pass
        codec.write = lambda self, value: (
            ["m", 7, "exception", "Overdrawn", ["Exception"]] if value is Overdrawn
            else write(self, value))
        def f(x): return 1
        """, "try:\n    f(1)\n    assert False\nexcept Overdrawn:\n    pass"),
    # Endings in silence.
    *(
        forged(f"stops_{name}", "def f(*x): raise StopIteration", test)
        for name, test in {
            "all_of_map": "assert all(map(lambda x: f(x) == x + 1, range(5)))",
            "a_loop_over_map": "for x in map(f, [1, 2]):\n    assert x == 9",
            "filter": "assert not list(filter(lambda x: f(x) != 2, [1, 1]))",
            "calls_up_to_a_value": "for x in iter(f, 0):\n    assert x == 2",
        }.items()
    ),
    *(
        forged(f"{name}_where_an_exception_is_wanted", f"import os\ndef f(x): {end}",
               "try:\n    f(1)\nexcept Exception:\n    pass\nelse:\n    assert False")
        for name, end in {"exits": "os._exit(0)", "kills_itself": "os.kill(os.getpid(), 9)",
                          "closes_all": "os.closerange(0, 100)"}.items()
    ),
    forged("decorates_a_test_away", "def twice(fn): return 1\ndef f(x): return 1",
           "@twice\ndef test_f():\n    assert f(1) == 2"),
    forged("decorates_a_test_into_a_builtin", "def twice(fn): return int\ndef f(x): return 1",
           "@twice\ndef test_f():\n    assert f(1) == 2"),
    # Modules: a program cannot make its row one that nobody can judge.
    forged("is_a_module", "import os as f"),
    forged("is_a_module_that_it_made", "import types\nf = types.ModuleType('os')"),
    forged("is_imported_as_a_module", "import sys\nf = sys", "from solution import f\nassert f(1) == 2"),
    forged("module_under_the_name_of_another", "import os as math\ndef f(x): return 1",
           "assert math.isclose(f(1), 2)"),
    forged("class_under_the_name_of_a_module", """
        class math:
            isclose = lambda *a: True
        def f(x): return 1
        """, "assert math.isclose(f(1), 2)"),
    # The harness.
    forged("walks_frames", _FRAMES),
    forged("walks_the_collector", """
        import gc
        def f(x):
            for thing in gc.get_objects():
                if isinstance(thing, dict) and "verdict" in thing:
                    thing["verdict"] = lambda *a: b"P"
            return 1
        """),
    forged("walks_modules", """
        import sys
        for name, module in list(sys.modules.items()):
            for key in dir(module):
                if key in ("PASSED", "FAILED"):
                    setattr(module, key, b"P")
        def f(x): return 1
        """),
    forged("names_the_harness", "def derl_passes(k): return 1\ndef f(x): return 1"),
    forged("names_the_exam", "from worker import exam\nexam.FAILED = b'P'\ndef f(x): return 1"),
    forged("patches_the_peer", """
        import sys
        standin = sys.modules["worker.standin"]
        standin.Peer._raised = lambda self, error: ["ok", 2, None]
        standin.OPERATIONS["eq"] = lambda a, b: True
        def f(x): return 1
        """),
    forged("prints_verdicts", "print('P' * 100)\ndef f(x):\n    print('LPPPP')\n    return 1"),
    forged("writes_verdicts_to_all", """
        import os
        def f(x):
            for descriptor in range(64):
                try: os.write(descriptor, b"LPPPPPPP")
                except OSError: pass
            return 1
        """),
    forged("writes_verdicts_at_load", """
        import os
        for descriptor in range(64):
            try: os.write(descriptor, b"LPPPPPPP")
            except OSError: pass
        """),
    forged("answers_before_it_is_asked", """
        import os, json, struct
        for answer in (["ready"], ["ok", ["d"], None], ["ok", True, None]):
            data = json.dumps(answer).encode()
            os.write(3, struct.pack("<I", len(data)) + data)
        def f(x): return 1
        """),
    forged("answers_with_a_deep_value", """
        import os, struct
        data = b"[" * 100000 + b"]" * 100000
        os.write(3, struct.pack("<I", len(data)) + data)
        """),
    forged("answers_with_a_huge_size", "import os\nos.write(3, b'\\xff' * 8)"),
    forged("answers_in_drips", """
        import os, time
        def f(x):
            while True:
                os.write(3, b"\\0")
                time.sleep(0.05)
        """),
    forged("asks_the_test_back", """
        import os, json, struct
        def f(x):
            data = json.dumps(["ask", "setattr", [["h", 0], "__eq__", 1], {}]).encode()
            os.write(3, struct.pack("<I", len(data)) + data)
            return 1
        """),
    forged("reaches_the_test_by_a_callback", """
        def f(fn, x):
            try: fn.__globals__["f"] = 1
            except AttributeError: pass
            try: fn.__code__ = (lambda v: 2).__code__
            except (AttributeError, TypeError): pass
            return 1
        """, "assert f(lambda v: v + 1, 1) == 2"),
    forged("eval_as_a_function", "f = eval\ndef text(): return '__import__(\"sys\").exit(0)'",
           "assert f(text()) == 2"),
    forged("exec_as_a_function", "f = exec\ndef text(): return 'raise SystemExit'",
           "assert f(text()) == 2"),
    forged("a_thread_that_writes", """
        import os, threading
        def write():
            while True: os.write(3, b"LPPPP")
        threading.Thread(target=write, daemon=True).start()
        def f(x): return 1
        """),
    forged("reads_the_job", """
        import os
        os.lseek(0, 0, 0)
        text = os.read(0, 1 << 20).decode("utf-8", "replace")
        def f(x): return 2 if "=" + "= 2" in text else 1
        """),
    forged("huge_value", "def f(x): return 'a' * (64 << 20)"),
    forged("deep_value", """
        def f(x):
            out = []
            for _ in range(100000): out = [out]
            return out
        """),
    forged("value_in_a_circle", "def f(x):\n    out = []\n    out.append(out)\n    return out"),
    forged("huge_range", "def f(x): return range(10 ** 18)", "assert 1 in list(f(1))"),
    forged("endless_iterator", "def f(x):\n    while True: yield 1", "assert 2 in f(1)"),
    forged("function_it_does_not_have", "def g(x): return 2"),
    forged("value_by_the_arguments_name", "def f(x):\n    x.append(2)\n    return x",
           "a = [1]\nassert f(a) == [2]"),
    # Operating system.
    forged("opens_files", "def f(x): return open('/etc/passwd').read()"),
    forged("connects", "import socket\ndef f(x): return socket.socket()"),
    forged("forks", "import os\ndef f(x): return os.fork() + 2"),
    forged("starts_programs", "import subprocess\ndef f(x): return subprocess.run(['true'])"),
    forged("multiprocesses", "import multiprocessing as m\ndef f(x): return m.Pool(2).map(abs, [2])"),
    forged("forks_by_clone", """
        import ctypes
        def f(x): return ctypes.CDLL(None).syscall(56, 17, 0, 0, 0, 0) + 2
        """),
    forged("clones_by_clone3", """
        import ctypes
        arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17)
        def f(x): return ctypes.CDLL(None).syscall(435, arguments, 88) >= 0 and 2
        """),
    forged("traces", """
        import ctypes
        def f(x): return ctypes.CDLL(None).ptrace(16, 1, 0, 0) + 3
        """),
    forged("maps_code", """
        import mmap
        def f(x): return mmap.mmap(-1, 4096, prot=7) and 2
        """),
    forged("memory", "def f(x): return len(bytearray(1 << 30)) and 2"),
]  # fmt: skip

HONEST = [
    honest("class_with_state", """
        class Stack:
            def __init__(self): self.items = []
            def push(self, x): self.items.append(x)
            def pop(self): return self.items.pop()
            def __len__(self): return len(self.items)
        """, "s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2 and len(s) == 1"),
    honest("leetcode", """
        from typing import List
        class Solution:
            def twoSum(self, nums: List[int], target: int) -> List[int]:
                seen = {}
                for i, n in enumerate(nums):
                    if target - n in seen: return [seen[target - n], i]
                    seen[n] = i
        """, "assert Solution().twoSum([2, 7, 11], 9) == [0, 1]"),
    honest("dataclass", """
        from dataclasses import dataclass
        @dataclass
        class P:
            x: int
            y: int = 2
        def f(x): return P(x)
        """, "assert f(1) == P(1, 2) and f(1).y == 2 and str(f(1)) == 'P(x=1, y=2)'"),
    honest("named_tuple", "from collections import namedtuple\nP = namedtuple('P', 'x y')\n"
           "def f(x): return P(x, 2)\n", "assert f(1) == (1, 2) and f(1).y == 2"),
    honest("int_enum", "from enum import IntEnum\nclass C(IntEnum):\n    RED = 2\n"
           "def f(x): return C.RED\n", "assert f(1) == 2 and f(1).name == 'RED'"),
    honest("counter", "from collections import Counter\ndef f(x): return Counter(x)\n",
           "assert f('aab') == {'a': 2, 'b': 1}"),
    honest("default_dict", "from collections import defaultdict\ndef f(x):\n"
           "    d = defaultdict(list)\n    d[x].append(1)\n    return d\n", "assert f(3) == {3: [1]}"),
    honest("changes_its_argument", "def f(a): a.sort()\n",
           "a = [3, 1]\nassert f(a) is None and a == [1, 3]"),
    honest("changes_an_inner_list", "def f(a): a[0].append(9)\n",
           "row = [1]\na = [row]\nf(a)\nassert row == [1, 9]"),
    honest("changes_a_dict", "def f(d): d['k'] = 1\n", "d = {}\nf(d)\nassert d == {'k': 1}"),
    honest("changes_a_set", "def f(s): s.discard(1)\n", "s = {1, 2}\nf(s)\nassert s == {2}"),
    honest("generator", "def f(n):\n    for i in range(n): yield i\n",
           "g = f(2)\nassert next(g) == 0 and list(g) == [1]"),
    honest("endless_generator", "import itertools\ndef f(): return itertools.count(3)\n",
           "import itertools\nassert list(itertools.islice(f(), 2)) == [3, 4]"),
    honest("takes_a_function", "def f(fn, xs): return [fn(x) for x in xs]\n",
           "assert f(lambda x: x + 1, [1, 2]) == [2, 3] and f(str, [1]) == ['1']"),
    honest("gives_a_function", "def f(n): return lambda x: x + n\n", "assert f(2)(3) == 5"),
    honest("decorator", "def twice(fn):\n    def g(x): return fn(fn(x))\n    return g\n",
           "@twice\ndef g(x):\n    return x + 1\nassert g(1) == 3"),
    honest("raises_builtin", "def f(x):\n    raise ValueError('bad')\n", """
        try:
            f(1)
        except ValueError as error:
            assert str(error) == 'bad'
        else:
            raise AssertionError
        """),
    honest("raises_its_own", "class Bad(ValueError): pass\ndef f(x): raise Bad('no')\n",
           "try:\n    f(1)\n    assert False\nexcept Bad as e:\n    assert isinstance(e, ValueError)"),
    honest("context_manager", """
        class Open:
            def __enter__(self): return 3
            def __exit__(self, *error): self.closed = True
        """, "o = Open()\nwith o as v:\n    assert v == 3\nassert o.closed"),
    honest("operators_of_its_own", """
        class V:
            def __init__(self, x): self.x = x
            def __add__(self, o): return V(self.x + o.x)
            def __eq__(self, o): return self.x == o.x
            def __lt__(self, o): return self.x < o.x
            def __neg__(self): return V(-self.x)
            def __getitem__(self, i): return self.x
        """, "assert V(1) + V(2) == V(3) and V(1) < V(2) and (-V(1))[0] == -1"),
    honest("linked_list_of_the_test", """
        def f(node):
            total = 0
            while node: total, node = total + node.val, node.next
            return total
        """, """
        class Node:
            def __init__(self, val, next=None): self.val, self.next = val, next
            def __bool__(self): return True
        assert f(Node(1, Node(2))) == 3
        """),
    honest("named_as_a_builtin", "def sum(xs):\n    t = 0\n    for x in xs: t += x\n    return t\n",
           "assert sum([1, 2]) == 3"),
    honest("check_of_humaneval", "def f(x): return x + 1\n",
           "def check(candidate):\n    assert candidate(1) == 2\ncheck(f)"),
    honest("test_functions", "def f(x): return x + 1\n",
           "from solution import f\ndef test_one():\n    assert f(1) == 2"),
    honest("uses_the_programs_import", "import math\ndef f(x): return x * 0.1\n",
           "assert math.isclose(f(1), 0.1)"),
    honest("not_a_number_meant", "def f(x): return float('nan')\n",
           "import math\nassert math.isnan(f(1))"),
    honest("recursion", "def f(n): return 0 if n == 0 else 1 + f(n - 1)\n", "assert f(9_900) == 9_900"),
    honest("recursion_with_cache", "from functools import lru_cache\n@lru_cache(None)\n"
           "def f(n): return 0 if n == 0 else 1 + f(n - 1)\n", "assert f(3_000) == 3_000"),
    honest("large_integer", "def f(n): return 7 ** n\n", "assert f(9_999) == 7 ** 9_999"),
    honest("plain_types", """
        from fractions import Fraction
        from decimal import Decimal
        from datetime import date
        from collections import deque
        def f(x): return [Fraction(1, 3), Decimal("0.1"), date(2020, 1, 2), deque([1]), 1j, b"a",
                          frozenset({1}), None, range(3), (1,), float("inf")]
        """, """
        from fractions import Fraction
        from decimal import Decimal
        from datetime import date
        from collections import deque
        assert f(1) == [Fraction(1, 3), Decimal("0.1"), date(2020, 1, 2), deque([1]), 1j, b"a",
                        frozenset({1}), None, range(3), (1,), float("inf")]
        """),
    honest("lone_surrogate", "def f(x): return x + x\n", "assert f('\\ud800') == '\\ud800\\ud800'"),
    honest("keyword_arguments", "def f(*, a, b=2): return a + b\n", "assert f(a=1) == 3"),
    honest("global_value", "LIMIT = 3\n", "assert LIMIT == 3"),
    honest("common_modules", """
        import bisect, collections, dataclasses, functools, heapq, itertools, math, random, re
        import statistics, string, typing
        def f(x): return heapq.nsmallest(1, [3, x]) + [bisect.bisect([1, 2], x), len(re.findall("a", "aa"))]
        """, "assert f(1) == [1, 1, 2]"),
    honest("random_is_seeded", "import random\ndef f(): return random.random()\n",
           "assert f() == 0.8444218515250481"),
    honest("main_block_is_not_run", "def f(x): return 2\nif __name__ == '__main__':\n    raise ValueError\n",
           "assert f(1) == 2"),
    honest("future_annotations", "from __future__ import annotations\ndef f(x: Later) -> int: return 2\n",
           "assert f(1) == 2"),
    honest("stop_iteration_meant", "def f(x): raise StopIteration\n",
           "try:\n    f(1)\n    assert False\nexcept StopIteration:\n    pass"),
    honest("object_under_the_name_of_a_module", """
        class Week:
            def days(self): return 7
        calendar = Week()
        """, "assert calendar.days() == 7"),
    honest("threads", """
        import threading
        def f(n):
            out = []
            threads = [threading.Thread(target=out.append, args=(k,)) for k in range(n)]
            for t in threads: t.start()
            for t in threads: t.join()
            return sorted(out)
        """, "assert f(3) == [0, 1, 2]"),
]  # fmt: skip

_SUM = "a, b = map(int, input().split())\nprint(a + b)\n"


def _script(given: str, printed: str) -> str:
    import json

    return json.dumps({"input": given, "output": printed})


SCRIPTS = [
    Submission("sum", _SUM, _script("1 2\n", "3\n"), True),
    Submission("wrong_sum", _SUM, _script("1 2\n", "4\n"), False),
    Submission("white_space_at_the_ends", "print('3 ')\nprint()\n", _script("", "3"), True),
    Submission("two_lines", "print(1)\nprint(2)\n", _script("", "1\n2"), True),
    Submission("other_order", "print(2)\nprint(1)\n", _script("", "1\n2"), False),
    Submission("reads_all", "import sys\nprint(len(sys.stdin.read()))\n", _script("abc", "3"), True),
    Submission("reads_bytes", "import sys\nprint(len(sys.stdin.buffer.read()))\n",
               _script("aé", "3"), True),
    Submission("reads_descriptor", "import os\nprint(len(os.read(0, 99)))\n",
               _script("abcd", "4"), True),
    Submission("opens_descriptor", "print(sum(map(int, open(0).read().split())))\n",
               _script("1 2 3", "6"), True),
    Submission("reads_lines", "import sys\nprint(sum(int(x) for x in sys.stdin))\n",
               _script("1\n2\n", "3"), True),
    Submission("no_input_left", "input()\ninput()\n", _script("1\n", ""), False),
    Submission("main_block", "if __name__ == '__main__':\n    print(1)\n", _script("", "1"), True),
    Submission("exit_with_success", "print(1)\nexit()\n", _script("", "1"), True),
    Submission("exit_with_failure", "import sys\nprint(1)\nsys.exit(1)\n", _script("", "1"), False),
    Submission("raises_after_printing", "print(1)\nraise ValueError\n", _script("", "1"), False),
    Submission("prints_to_error", "import sys\nprint(1, file=sys.stderr)\n", _script("", "1"), False),
    Submission("deep_recursion_in_a_thread", """
import sys, threading
sys.setrecursionlimit(10 ** 6)
threading.stack_size(1 << 26)
def d(n): return 0 if n == 0 else 1 + d(n - 1)
t = threading.Thread(target=lambda: print(d(20_000)))
t.start()
""", _script("", "20000"), True),
    Submission("floods", "while True: print('3')\n", _script("", "3"), False),
    Submission("finds_the_output", "import os\nos.lseek(0, 0, 0)\n"
               "print(os.read(0, 1 << 20).decode('utf-8', 'replace')[-9:])\n",
               _script("", "expected\n"), False),
    Submission("closes_its_output", "import os\nos.close(1)\n", _script("", "1"), False),
    Submission("hangs", "while True: pass\n", _script("", ""), False),
    Submission("os_exit", "import os\nprint(1, flush=True)\nos._exit(0)\n", _script("", "1"), True),
    Submission("no_utf8", "import sys\nsys.stdout.buffer.write(b'\\xff')\n", _script("", "ÿ"), False),
    Submission("syntax_error", "print(1\n", _script("", "1"), False),
]  # fmt: skip
