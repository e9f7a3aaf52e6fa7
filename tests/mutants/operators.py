"""The mutants of a package: every place that an operator can change, found in its syntax tree."""

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("reading", "polling", "deadlines", "publishing", "aws", "summary", "trackstar")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SWAPPED_CALLS = {"min": "max", "max": "min"}
NEVER_MUTATED = ("logger", "TYPE_CHECKING")
"""Log lines, and imports for the type checker."""
WHOLE_MODULE = (1, 100_000)


@dataclass(frozen=True, order=True)
class Mutant:
    """One change of one module: the bytes from `begin` to `end` become the replacement.

    Attributes:
        module: Its path inside the layer.
        operator: The kind of change.
        lines: First and last line of the statement, or of the module outside functions. Tests that execute them run.
    """

    module: str
    line: int
    begin: int
    end: int
    operator: str
    replacement: str
    lines: tuple[int, int]

    def applied_to(self, source: bytes) -> bytes:
        """The source of the mutated module."""
        return source[: self.begin] + self.replacement.encode() + source[self.end :]


def sample(layer: Path, *, count: int, seed: int, modules: Sequence[str] = PACKAGES) -> list[Mutant]:
    """Random mutants: the same ones for the same layer, count, seed and modules; fewer where there are not that many.

    Args:
        layer: The folder with `orderwatch`.
        modules: Packages, or modules such as `reading/cursor.py`.
    """
    roots = [layer / "orderwatch" / module for module in modules]
    paths = sorted(path for root in roots for path in ([root] if root.suffix else root.rglob("*.py")))
    mutants = [mutant for path in paths for mutant in mutants_of(path.relative_to(layer), path.read_bytes())]
    return sorted(random.Random(seed).sample(mutants, min(count, len(mutants))))


def mutants_of(module: Path, source: bytes) -> list[Mutant]:
    """Every mutant of a module."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = set()
    for node, lines in _nodes(ast.parse(source), WHOLE_MODULE, is_in_function=False):
        for target, operator, text in (*_statement_changes(node), *_expression_changes(node)):
            begin = starts[target.lineno - 1] + target.col_offset
            end = starts[(target.end_lineno or target.lineno) - 1] + (target.end_col_offset or 0)
            found.add(Mutant(module.as_posix(), target.lineno, begin, end, operator, text, lines))
    return sorted(found)


type Changes = Iterator[tuple[ast.expr | ast.stmt, str, str]]
"""The part that changes, the operator, and the new text."""


def _nodes(node: ast.AST, lines: tuple[int, int], *, is_in_function: bool) -> Iterator[tuple[ast.AST, tuple[int, int]]]:
    """Every node that runs, with the lines of its statement: no annotation, docstring or log line."""
    if isinstance(node, ast.TypeAlias | ast.Import | ast.ImportFrom) or _is_left_alone(node):
        return
    if isinstance(node, ast.stmt) and is_in_function:
        body = getattr(node, "body", None)
        lines = (node.lineno, body[0].lineno - 1 if body else node.end_lineno or node.lineno)
    yield node, lines
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "bases", "type_params", "format_spec"}:
            continue
        is_inside = is_in_function or (name == "body" and isinstance(node, ast.FunctionDef))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _nodes(child, lines, is_in_function=is_inside)


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))) | ast.If(test=ast.Name(id=name)):
            return name in NEVER_MUTATED
        case ast.ClassDef(bases=bases):
            return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in bases)
    return False


def _statement_changes(node: ast.AST) -> Changes:
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) if isinstance(test, ast.Name | ast.Call | ast.Attribute):
            yield test, "negated condition", f"(not {_text(test)})"
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield node, "return None", "return None"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete():
            yield node, "removed statement", "pass"


def _expression_changes(node: ast.AST) -> Changes:
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=comparators) if type(operator) in COMPARISONS:
            yield node, "comparison", _text(ast.Compare(left, [COMPARISONS[type(operator)]()], comparators))
        case ast.BoolOp(op=operator, values=values):
            yield node, "and/or", _text(ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, "dropped not", _text(operand)
        case ast.Constant(value=bool(value)):
            yield node, "boolean", str(not value)
        case ast.Constant(value=int(value)):
            yield node, "constant + 1", str(value + 1)
            yield node, "constant - 1", f"({value - 1})"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords) if name in SWAPPED_CALLS:
            yield node, "min/max", _text(ast.Call(ast.Name(SWAPPED_CALLS[name]), arguments, keywords))


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"
