"""Hostile sources: each is a few lines and the class of failure it has to end in.

Where the two engines differ, or a limit may strike first in either of two ways, a case says so.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import partial

from derl_runtime.sandbox import SandboxLimits

# Short enough for a suite of many cases, long enough for a loaded machine.
QUICK = SandboxLimits(deadline=5.0, cpu=5.0, memory=128 << 20)
HANGS = SandboxLimits(deadline=0.3, cpu=5.0, memory=128 << 20)
BURNS = SandboxLimits(deadline=10.0, cpu=1.0, memory=128 << 20)


@dataclass(frozen=True)
class Case:
    """A hostile source with what has to become of it, by engine; "value" is a harmless answer."""

    name: str
    source: str
    restricted: tuple[str, ...] = ()
    monty: tuple[str, ...] = ()
    limits: SandboxLimits = QUICK
    text: str = "a completion"
    says: str = ""  # what the message begins with

    def expected(self, engine: str) -> tuple[str, ...]:
        return self.restricted if engine == "restricted" else self.monty


def module(name: str, source: str, restricted: str = "", monty: str = "", **more: object) -> Case:
    """A case of a whole source; classes are separated by "|"."""
    clean = textwrap.dedent(source).lstrip("\n")
    ways = (tuple(way.split("|")) if way else () for way in (restricted, monty))
    return Case(name, clean, *ways, **more)  # type: ignore[arg-type]


def body(name: str, lines: str, restricted: str, monty: str = "crash", **more: object) -> Case:
    """A case whose function `f` has these lines."""
    inner = textwrap.indent(textwrap.dedent(lines).strip("\n"), "    ")
    return module(name, f"def f(c: text) -> number:\n{inner}\n", restricted, monty, **more)


refused = partial(body, restricted="compile_error")

ESCAPES = [
    # Dunder walks and names.
    refused("dunder_class", "return c.__class__", monty="crash|protocol"),
    refused("dunder_subclasses", "return len(().__class__.__bases__[0].__subclasses__())"),
    refused("dunder_globals", "return len(f.__globals__)"),
    refused("dunder_self_of_builtin", "return len.__self__"),
    refused("dunder_code", "return f.__code__.co_code"),
    refused("dunder_dict", "return len(f.__dict__)"),
    refused("dunder_builtins_name", "return __builtins__"),
    refused("dunder_import_call", 'return __import__("os").getpid()'),
    refused("dunder_mro_of_exception", "return ValueError.__mro__[-1]"),
    refused("confusable_dunder", "return c.__ｃlass__", monty="crash|protocol|compile_error"),
    # Builtins that open doors.
    refused("getattr", 'return getattr(c, "__class__")', monty="crash|protocol"),
    refused("setattr", 'setattr(f, "x", 1)\nreturn 1'),
    refused("type", 'return type("X", (), {})', monty="crash|protocol"),
    refused("object", "return object()", monty="crash|protocol"),
    refused("globals", "return len(globals())", monty="crash|value"),
    refused("locals", "return len(locals())", monty="crash|value"),
    refused("vars", "return len(vars())"),
    refused("dir", "return len(dir())", monty="crash|value"),
    refused("eval", 'return eval("1")', monty="value|crash"),
    refused("exec", 'exec("x = 1")\nreturn 1', monty="value|crash"),
    refused("compile", 'return compile("1", "x", "eval")'),
    refused("open", 'return len(open("/etc/passwd").read())', monty="crash|violation"),
    refused("input", "return input()"),
    refused("breakpoint", "return breakpoint()"),
    refused("id", "return id(c)", monty="value|crash"),
    refused("hash", "return hash(c)", monty="value"),
    refused("repr", "return len(repr(f))", monty="value"),
    refused("format_builtin", 'return len(format(1, "9"))', monty="value|crash"),
    refused("memoryview", 'return len(memoryview(b"x"))'),
    refused("super", "return super()"),
    refused("print", "print(c)\nreturn 1", monty="value"),
    # Frames.
    refused("generator_frame", "g = (i for i in [1])\nreturn g.gi_frame"),
    refused("generator_code", "g = (i for i in [1])\nreturn g.gi_code"),
    body("generator_throw", "g = (i for i in [1])\nreturn g.throw(ValueError)", "violation"),
    refused("coroutine_frame", "async def g():\n    return 1\nreturn g().cr_frame"),
    refused("await", "await c", monty="compile_error|crash"),
    refused("traceback", "try:\n    1 / 0\nexcept Exception as e:\n    return e.__traceback__",
            monty="crash|protocol"),
    refused("traceback_frame", "try:\n    1 / 0\nexcept Exception as e:\n    return e.tb_frame"),
    body("with_traceback", "try:\n    1 / 0\nexcept Exception as e:\n    e.with_traceback(None)",
         "violation", "crash|protocol"),
    body("attribute_error_obj", "try:\n    c.nope\nexcept Exception as e:\n    return e.obj",
         "violation", "crash|protocol"),
    body("exception_args", "try:\n    1 / 0\nexcept Exception as e:\n    return e.args[0]",
         "violation", "protocol"),
    refused("except_star", "try:\n    1 / 0\nexcept* ZeroDivisionError as e:\n    return 1",
            monty="compile_error|crash"),
    # Formatting that walks attributes or shows addresses.
    body("str_format", 'return len("{0.__class__}".format(c))', "violation", "crash|value"),
    body("str_format_map", 'return len("{c.__class__}".format_map({"c": c}))', "violation"),
    body("map_of_format", 'return len(list(map("{0.__class__}".format, [c])))', "violation",
         "crash|value"),
    body("str_type_format", 'return len(str.format("{}", c))', "violation", "crash|value"),
    module("string_formatter", """
        import string
        def f(c: text) -> number:
            return len(string.Formatter().vformat("{0.__class__}", (c,), {}))
        """, "violation", "violation|crash"),
    module("re_sub_format", """
        import re
        def f(c: text) -> number:
            return len(re.sub("a", "{0.__class__}".format, c))
        """, "violation", "crash|value"),
    refused("fstring_dunder", 'return len(f"{c.__class__}")', monty="value|crash"),
    body("fstring_function", 'return len(f"{f}")', "violation", "value"),
    body("percent_function", 'return len("%s" % f)', "violation", "value|crash"),
    body("percent_in_place", 's = "%s"\ns %= f\nreturn len(s)', "violation", "value|crash"),
    body("str_of_function", "return len(str(f))", "violation", "value"),
    body("str_of_nested_function", "return len(str([(f,)]))", "violation", "value"),
    # Guards shadowed.
    module("shadow_positional_only", """
        def f(_getattr_, /, c: text = "") -> number:
            return _getattr_
        """, "compile_error", "compile_error"),
    refused("shadow_keyword_only", "def g(*, _getattr_=1):\n    return c.__class__\nreturn g()",
            monty="crash|protocol"),
    refused("shadow_star", "def g(*_getattr_):\n    return 1\nreturn g()", monty="value"),
    refused("shadow_lambda", "return (lambda _getattr_: 1)(1)", monty="value"),
    refused("shadow_import_as", "import math as _getattr_\nreturn 1", monty="value"),
    refused("shadow_from_as", "from math import pi as _getattr_\nreturn 1", monty="value"),
    refused("shadow_except_as", "try:\n    1 / 0\nexcept Exception as _getattr_:\n    return 1",
            monty="value"),
    refused("shadow_walrus", "return (_getattr_ := 1)", monty="value"),
    refused("shadow_for", "for _getattr_ in [1]:\n    return 1", monty="value"),
    refused("shadow_comprehension", "return sum([_getattr_ for _getattr_ in [1]])",
            monty="value"),
    refused("shadow_annotated", "_getattr_: number = 1\nreturn 1", monty="value"),
    refused("shadow_function", "def _getattr_(a, b):\n    return a\nreturn 1", monty="value"),
    refused("shadow_global", "global _getattr_\n_getattr_ = 1\nreturn 1", monty="value|crash"),
    refused("shadow_match", "match c:\n    case _getattr_:\n        return 1",
            monty="value|crash|compile_error"),
    module("shadow_builtin_len", """
        def len(x):
            return 10 ** 400
        def f(c: text) -> number:
            return len(c)
        """, "nonfinite", "nonfinite"),
    # Modules and what is in them.
    *(module(f"import_{name}", f"""
        import {name}
        def f(c: text) -> number:
            return 1
        """, "violation|compile_error", "violation|value|crash")
      for name in ("os", "sys", "subprocess", "ctypes", "builtins", "socket", "importlib", "gc")),
    module("import_dotted", "import os.path\ndef f(c: text) -> number:\n    return 1\n",
           "violation|compile_error", "violation|value|crash"),
    module("import_star", "from math import *\ndef f(c: text) -> number:\n    return 1\n",
           "compile_error", "compile_error|value|crash"),
    module("import_relative", "from . import job\ndef f(c: text) -> number:\n    return 1\n",
           "violation", "violation|compile_error|crash"),
    module("import_dunder", "from math import __loader__ as x\ndef f(c: text) -> number:\n"
           "    return 1\n", "compile_error", "violation|crash"),
    *(module(f"internals_{mod}_{part}", f"""
        import {mod}
        def f(c: text) -> number:
            return {mod}.{part}
        """, "violation", "crash|violation")
      for mod, part in (("re", "enum"), ("re", "functools"), ("json", "codecs"),
                        ("json", "decoder"), ("collections", "abc"))),
    module("re_template_scanner", """
        import re
        def f(c: text) -> number:
            return re.compile("a").scanner(c)
        """, "violation", "crash"),
    module("match_back_to_pattern", """
        import re
        def f(c: text) -> number:
            return re.search("a", c).re.flags
        """, "violation", "crash|value"),
    module("counter_class_method", """
        import collections
        def f(c: text) -> number:
            return collections.Counter.fromkeys(c)
        """, "violation", "crash|violation|protocol"),
    # Writing where nothing may be written.
    module("write_module", """
        import math
        def f(c: text) -> number:
            math.pi = 3
            return 1
        """, "violation", "crash|value"),
    body("write_function", "f.x = 1\nreturn 1", "violation"),
    body("write_tuple", "(1,)[0] = 2\nreturn 1", "violation"),
    refused("delete_dunder", "del f.__code__\nreturn 1", monty="crash|compile_error"),
    refused("augmented_attribute", "f.x += 1\nreturn 1"),
    # Constructs a primitive does without.
    refused("class", "class A:\n    pass\nreturn 1", monty="value|compile_error"),
    refused("metaclass", "class A(metaclass=len):\n    pass\nreturn 1",
            monty="crash|compile_error"),
    refused("eq_override", "class A:\n    def __eq__(self, o):\n        return True\nreturn 1",
            monty="value|compile_error"),
    refused("decorator", "@len\ndef g():\n    return 1\nreturn 1", monty="crash|compile_error"),
    refused("nonlocal", "x = 1\ndef g():\n    nonlocal x\n    x = 2\ng()\nreturn x",
            monty="value"),
    refused("with", "with c as d:\n    return 1", monty="crash|compile_error"),
    module("annotation_runs_code", """
        def f(c: __import__("os").system("true")) -> number:
            return 1
        """, "compile_error", "compile_error"),
    module("default_runs_code", 'def f(c: text = open("/etc/passwd")) -> number:\n    return 1\n',
           "compile_error", "compile_error"),
    # Methods on types, bytes, complex numbers.
    body("int_from_bytes", 'return int.from_bytes([1], "big")', "violation", "crash|value"),
    body("dict_fromkeys", "return dict.fromkeys(c)", "violation", "crash|protocol"),
    refused("bytes_decode", 'return len(b"x".decode())', monty="value|crash"),
    refused("bytes_percent", 'return len(b"%a" % f)', monty="value|crash"),
    refused("complex_parts", "return (1j).real", monty="value|crash|compile_error"),
    body("complex_power", "return ((-1) ** 0.5).real", "violation", "value|crash|compile_error"),
    body("star_call_of_format", 'return len("{}".format(*[c]))', "violation", "value|crash"),
    # What is refused stays refused when the source swallows it.
    body("swallow_refusal", "try:\n    c.format(1)\nexcept Exception:\n    pass\nreturn 1",
         "violation", "value|crash"),
    body("swallow_bare", "try:\n    c.encode()\nexcept:\n    return 1", "violation",
         "value|protocol"),
    body("swallow_finally", "try:\n    c.encode()\nfinally:\n    return 1", "violation", "value"),
]  # fmt: skip

RESOURCES = [
    module("loop_at_import", "while True:\n    pass\ndef f(c: text) -> number:\n    return 1\n",
           "timeout", "timeout", limits=HANGS),
    body("loop", "while True:\n    pass", "timeout", "timeout", limits=HANGS),
    body("loop_burns_cpu", "while True:\n    pass", "cpu", "cpu", limits=BURNS),
    body("loop_swallows_everything", "while True:\n    try:\n        1 / 0\n    except:\n"
         "        pass", "timeout", "timeout", limits=HANGS),
    body("generator_without_end", "def g():\n    while True:\n        yield 1\nreturn sum(g())",
         "timeout", "timeout|crash|compile_error", limits=HANGS),
    body("long_range", "return sum(i for i in range(10 ** 12))", "timeout", "timeout|oom",
         limits=HANGS),
    body("power_bomb", "return 10 ** 10 ** 10", "timeout|oom", "timeout|oom|cpu", limits=HANGS),
    body("power_chain", "x = 7\nfor i in range(40):\n    x = x ** 7\nreturn x", "timeout|oom",
         "timeout|oom|cpu", limits=HANGS),
    body("power_modulus", "return pow(3, 10 ** 6000, 10 ** 6000 + 7)", "timeout",
         "timeout|oom|cpu|crash", limits=HANGS),
    body("shift_bomb", "return 1 << 10 ** 11", "oom|crash", "oom|crash"),
    body("text_times", 'return len("a" * 10 ** 11)', "oom", "oom"),
    body("list_times", "return len([0] * 10 ** 11)", "oom", "oom|crash"),
    body("tuple_times", "return len((0,) * 10 ** 11)", "oom", "oom|crash"),
    body("format_width", 'return len(f"{1:100000000000}")', "oom|crash", "oom|crash"),
    body("percent_width", 'return len("%100000000000d" % 1)', "oom|crash", "oom|crash"),
    body("center_width", "return len(c.center(10 ** 11))", "oom", "oom|crash"),
    body("zfill_width", "return len(c.zfill(10 ** 11))", "oom", "oom|crash"),
    body("replace_grows", 'x = "a" * 10 ** 6\nfor i in range(9):\n'
         '    x = x.replace("a", "aa" * 9)\nreturn len(x)', "oom", "oom|cpu|timeout"),
    body("join_grows", 'x = "a" * 10 ** 6\nfor i in range(9):\n    x = x.join(["b"] * 40)\n'
         "return len(x)", "oom", "oom|cpu|timeout"),
    body("list_grows", "x = [0]\nwhile True:\n    x.extend(x)", "oom", "oom|cpu|timeout"),
    body("dict_grows", "x = {}\ni = 0\nwhile True:\n    x[i] = i\n    i += 1", "oom|timeout",
         "oom|timeout|cpu"),
    body("sort_of_much", "return len(sorted(range(10 ** 9)))", "oom|timeout", "oom|timeout|cpu"),
    body("recursion", "return f(c)", "crash", "crash"),
    body("recursion_in_lambda", "g = lambda h: h(h)\nreturn g(g)", "crash", "crash"),
    body("recursion_in_sort_key",
         "def k(x):\n    return len(sorted([1, 2], key=k))\nreturn k(1)", "crash", "crash"),
    body("deep_list_freed", "x = []\nfor i in range(3 * 10 ** 5):\n    x = [x]\nreturn 1", "value",
         "value|crash|oom|timeout|cpu"),
    body("deep_list_compared", "x = []\ny = []\nfor i in range(10 ** 5):\n    x = [x]\n"
         "    y = [y]\nreturn x == y", "crash", "value|crash|oom"),
    body("deep_list_as_text", "x = []\nfor i in range(10 ** 5):\n    x = [x]\nreturn len(str(x))",
         "violation", "crash|value|oom"),
    body("list_in_itself_as_text", "x = []\nx.append(x)\nreturn len(str(x))", "violation",
         "value|crash"),
    module("regex_backtracks", """
        import re
        def f(c: text) -> number:
            return re.match("(a+)+$", c) is not None
        """, "timeout", "value", limits=HANGS, text="a" * 40 + "!"),
    module("regex_many_repeats", """
        import re
        def f(c: text) -> number:
            return len(re.compile("((a{0,999}){0,999}){0,999}").findall(c * 50))
        """, "timeout|value|crash|oom", "timeout|value|crash|oom|violation", limits=HANGS,
        text="a" * 40 + "!"),
    module("json_nests", """
        import json
        def f(c: text) -> number:
            return len(json.loads("[" * 100000))
        """, "crash", "crash"),
    body("digits_to_int", 'return int("9" * 10 ** 6)', "crash", "crash|nonfinite"),
    body("int_to_digits", "return len(str(10 ** 5000))", "crash", "crash|value"),
    module("factorial", """
        import math
        def f(c: text) -> number:
            return math.factorial(10 ** 8)
        """, "timeout", "timeout|oom|cpu|crash", limits=HANGS),
    module("brackets", "def f(c: text) -> number:\n    return " + "(" * 5000 + "1" + ")" * 5000,
           "compile_error", "compile_error"),
    module("minuses", "def f(c: text) -> number:\n    return " + "-" * 12000 + "1\n",
           "compile_error", "compile_error|crash"),
    module("nots", "def f(c: text) -> number:\n    return " + "not " * 3000 + "1\n",
           "compile_error", "compile_error|crash"),
    module("long_sum", "def f(c: text) -> number:\n    return " + "1+" * 7000 + "1\n",
           "compile_error", "compile_error|crash|value"),
    module("long_attribute_chain", "def f(c: text) -> number:\n    return c" + ".a" * 7000 + "\n",
           "compile_error", "compile_error|crash"),
    module("nested_functions", "def f(c: text) -> number:\n" + "".join(
        " " * (i + 1) + f"def g{i}():\n" for i in range(101)) + " " * 103 + "return 1\n",
           "compile_error", "compile_error"),
    module("too_long", "def f(c: text) -> number:\n    return 1\n" + "#" * 20_000,
           "compile_error", "compile_error"),
    module("constant_folding", "X = (1,) * (1 << 30)\ndef f(c: text) -> number:\n    return 1\n",
           "oom", "oom|crash"),
    module("digits_in_source", "def f(c: text) -> number:\n    return " + "9" * 5000 + "\n",
           "compile_error", "compile_error|nonfinite|crash"),
    module("nul_in_source", "def f(c: text) -> number:\n    return 1\0\n", "compile_error",
           "compile_error"),
    module("surrogate_in_source", "def f(c: text) -> number:\n    return len('\udcff')\n",
           "compile_error", "compile_error|crash"),
    module("nothing_declared", "x = 1\n", "compile_error", "compile_error"),
    module("many_locals", "def f(c: text) -> number:\n" + "".join(
        f"    x{i} = {i}\n" for i in range(900)) + "    return 1\n", "value", "value|crash"),
]  # fmt: skip

GARBAGE = [
    body("nan", 'return float("nan")', "nonfinite", "nonfinite"),
    body("infinity", 'return float("inf")', "nonfinite", "nonfinite"),
    body("minus_infinity", 'return -float("inf")', "nonfinite", "nonfinite"),
    body("overflow", "return 1e308 * 10", "nonfinite", "nonfinite"),
    body("huge_int", "return 10 ** 400", "nonfinite", "nonfinite"),
    body("complex", "return (-1) ** 0.5", "protocol", "protocol|compile_error|crash"),
    body("text", "return c", "protocol", "protocol"),
    body("list", "return [1]", "protocol", "protocol"),
    body("tuple", "return (1,)", "protocol", "protocol"),
    body("dict", "return {}", "protocol", "protocol"),
    body("none", "return None", "protocol", "protocol"),
    body("nothing", "pass", "protocol", "protocol"),
    body("function", "return f", "protocol", "protocol|crash"),
    body("generator", "return (i for i in [1])", "protocol", "protocol|crash"),
    body("not_implemented", "return ...", "protocol", "protocol|crash"),
    body("bool_is_a_number", "return True", "value", "value"),
    body("raises", 'raise ValueError("no")', "crash", "crash"),
    body("raises_nothing", "raise", "crash", "crash"),
    body("raises_a_class_of_ours", "raise SystemExit", "compile_error", "crash"),
    body("divides_by_zero", "return 1 / 0", "crash", "crash"),
    body("missing_key", "return {}[c]", "crash", "crash"),
    module("wrong_arity", "def f(c: text, d: text) -> number:\n    return 1\n", "protocol",
           "protocol"),
    module("float_for_bool", "def f(c: text) -> bool:\n    return 0.5\n", "protocol", "protocol"),
    module("returns_text", "def f(c: text) -> text:\n    return c\n", "protocol",
           "protocol"),
    module("control_characters", "def f(c: text) -> number:\n"
           '    raise ValueError("\\x1b[2J\\x07\\r\\n\\u202e" + c)\n', "crash", "crash"),
    module("message_without_end", "def f(c: text) -> number:\n"
           '    raise ValueError("x" * 10 ** 6)\n', "crash", "crash"),
]  # fmt: skip

GROUPS = {"escapes": ESCAPES, "resources": RESOURCES, "garbage": GARBAGE}
