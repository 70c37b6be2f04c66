"""Small wrong changes to a source: one comparison, constant, condition, statement or pair of operands at a time.

`list_mutants` finds every place where a change can be made, in the order of the source; `mutate` makes one. What no
event can show is left alone: annotations, decorators, docstrings, assertions, and the functions of the invariants.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

__all__ = ["Mutant", "list_mutants", "mutate"]

COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], str, str]]] = {
    ast.Lt: (ast.LtE, "<", "<="),
    ast.LtE: (ast.Lt, "<=", "<"),
    ast.Gt: (ast.GtE, ">", ">="),
    ast.GtE: (ast.Gt, ">=", ">"),
    ast.Eq: (ast.NotEq, "==", "!="),
    ast.NotEq: (ast.Eq, "!=", "=="),
    ast.Is: (ast.IsNot, "is", "is not"),
    ast.IsNot: (ast.Is, "is not", "is"),
    ast.In: (ast.NotIn, "in", "not in"),
    ast.NotIn: (ast.In, "not in", "in"),
}
ONE_WAY: Final = (ast.Sub, ast.FloorDiv, ast.Mod, ast.LShift, ast.RShift)  # whose operands cannot be swapped
UNREAD: Final = ("annotation", "returns", "decorator_list", "type_params", "args")  # the last of a function
OPPOSITES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
UNSEEN: Final = ("check", "_check_")  # invariants: what they let pass shows in no event


class Mutant(NamedTuple):
    """One wrong change: its number among those of its file, its place, and what it does in words."""

    path: str
    number: int
    line: int
    function: str
    kind: str
    text: str
    again: int  # how many of the same words stand before it in the function

    @property
    def name(self) -> str:
        """What names it as long as its function stays: without line, so that edits elsewhere do not matter."""
        turn = f" #{self.again + 1}" if self.again else ""
        return f"{self.path} | {self.function} | {self.kind}: {self.text}{turn}"


class Site(NamedTuple):
    """A place and the change to be made there, to the tree that it was found in."""

    line: int
    function: str
    kind: str
    text: str
    change: Callable[[], None]


def list_mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of a file."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for number, site in enumerate(_sites(ast.parse(source))):
        key = (site.function, site.kind, site.text)
        found.append(Mutant(path, number, site.line, *key, seen[key]))
        seen[key] += 1
    return found


def mutate(source: str, number: int) -> ast.Module:
    """The tree of a source with one change, ready to be compiled."""
    tree = ast.parse(source)
    for place, site in enumerate(_sites(tree)):
        if place == number:
            site.change()
            return ast.fix_missing_locations(tree)
    raise ValueError(f"there is no mutant {number}")


def _sites(tree: ast.Module) -> list[Site]:
    # All are found before any is changed.
    return list(_walk(tree, ""))


def _walk(node: ast.AST, function: str) -> Iterator[Site]:
    if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom) or _is_all(node):
        return
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        function = f"{function}.{node.name}".lstrip(".")
        if node.name.startswith(UNSEEN):
            return
    yield from _changes(node, function)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "args") and not isinstance(
            node, ast.Call
        ):
            continue
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.stmt) and isinstance(value, list):
                yield from _drop(value, place, child, function)
            yield from _walk(child, function)


def _changes(node: ast.AST, function: str) -> Iterator[Site]:
    """The changes to one node itself."""
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other, before, after = COMPARISONS[type(operator)]

                def change(place: int = place, other: type[ast.cmpop] = other) -> None:
                    node.ops[place] = other()

                text = f"{_short(node)}: {before} becomes {after}"
                yield Site(node.lineno, function, "comparison", text, change)
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            for other_number in (number + 1, number - 1):

                def count(value: int = other_number) -> None:
                    node.value = value

                yield Site(node.lineno, function, "constant", f"{number} becomes {other_number}", count)
        case ast.If() | ast.While() | ast.IfExp():

            def negate() -> None:
                node.test = ast.UnaryOp(ast.Not(), node.test)

            yield Site(node.lineno, function, "condition", f"not {_short(node.test)}", negate)
        case ast.comprehension():
            for place, test in enumerate(node.ifs):

                def negate_one(place: int = place, test: ast.expr = test) -> None:
                    node.ifs[place] = ast.UnaryOp(ast.Not(), test)

                yield Site(test.lineno, function, "condition", f"not {_short(test)}", negate_one)
        case ast.BoolOp():
            both = (ast.Or, "or") if isinstance(node.op, ast.And) else (ast.And, "and")

            def join() -> None:
                node.op = both[0]()

            yield Site(node.lineno, function, "operands", f"{_short(node)}: joined by {both[1]}", join)
        case ast.BinOp() if isinstance(node.op, ONE_WAY):

            def swap() -> None:
                node.left, node.right = node.right, node.left

            yield Site(node.lineno, function, "operands", f"{_short(node)}: swapped", swap)
        case ast.Call(func=ast.Name(id=name)) if name in OPPOSITES:

            def call_other() -> None:
                node.func = ast.Name(OPPOSITES[name], ast.Load())

            yield Site(node.lineno, function, "operands", f"{_short(node)}: {OPPOSITES[name]}", call_other)


def _drop(statements: list[ast.stmt], place: int, node: ast.stmt, function: str) -> Iterator[Site]:
    """Leave out a statement that does something; a function without it does nothing or goes on."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Expr() | ast.AugAssign() | ast.Delete() | ast.Raise() | ast.Continue() | ast.Break():
            pass
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() | ast.Tuple(), *_]):
            pass
        case ast.Return(value=None | ast.Constant()) if function:
            pass
        case _:
            return

    def drop() -> None:
        statements[place] = ast.copy_location(ast.Pass(), node)

    yield Site(node.lineno, function, "dropped", _short(node), drop)


def _is_all(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else text[:77] + "..."
