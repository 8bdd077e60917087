"""From a syntax tree back to text, with the fewest brackets that keep its meaning."""

from __future__ import annotations

from derl_grammar import nodes as n

# Binding strengths of the grammar's levels, from loose to tight.
_CONDITIONAL, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _FACTOR, _POWER, _ATOM = range(10)
_LEVELS = {
    "or": _OR,
    "and": _AND,
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "%": _PRODUCT,
    "**": _POWER,
}


def number_text(value: float) -> str:
    """A literal that reads back as exactly this number: 1 rather than 1.0."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def _call(node: n.Call, done: dict[int, tuple[str, int]]) -> str:
    args = [done[id(a)][0] for a in node.args]
    args += [f"{k.name}={done[id(k.value)][0]}" for k in node.keywords]
    return f"{node.name}({', '.join(args)})"


def expression_text(root: n.Expr) -> str:
    """The text of one expression."""
    done: dict[int, tuple[str, int]] = {}

    def at(child: n.Expr, level: int) -> str:
        text, strength = done[id(child)]
        return text if strength >= level else f"({text})"

    for node in n.postorder(root):
        match node:
            case n.NumberLiteral(value=value):
                found = (number_text(value), _ATOM)
            case n.TextLiteral(value=value):
                escaped = value.replace("\\", "\\\\").replace('"', '\\"')
                for character, escape in (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
                    escaped = escaped.replace(character, escape)
                escaped = escaped.replace("\0", "\\x00")
                found = (f'"{escaped}"', _ATOM)
            case n.BoolLiteral(value=value):
                found = (str(value), _ATOM)
            case n.Name(name=name):
                found = (name, _ATOM)
            case n.Call():
                found = (_call(node, done), _ATOM)
            case n.Unary(op="not", operand=operand):
                found = (f"not {at(operand, _NOT)}", _NOT)
            case n.Unary(op=op, operand=operand):
                found = (f"{op}{at(operand, _FACTOR)}", _FACTOR)
            case n.Binary(op="**", left=left, right=right):
                found = (f"{at(left, _ATOM)} ** {at(right, _FACTOR)}", _POWER)
            case n.Binary(op=op, left=left, right=right):
                level = _LEVELS[op]
                found = (f"{at(left, level)} {op} {at(right, level + 1)}", level)
            case n.Compare(ops=ops, operands=operands):
                words = [at(operands[0], _SUM)]
                for op, operand in zip(ops, operands[1:], strict=True):
                    words += [op, at(operand, _SUM)]
                found = (" ".join(words), _COMPARE)
            case n.Conditional(then=then, test=test, other=other):
                shown = f"{at(then, _OR)} if {at(test, _OR)} else {at(other, _CONDITIONAL)}"
                found = (shown, _CONDITIONAL)
        done[id(node)] = found
    return done[id(root)][0]


def program_text(program: n.Program) -> str:
    """The text of a program: one expression, or a line for each part and the reward."""
    reward = expression_text(program.reward)
    if not program.parts:
        return reward
    lines = [f"{part.name} = {expression_text(part.value)}" for part in program.parts]
    return "\n".join([*lines, f"reward = {reward}"])
