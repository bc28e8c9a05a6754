"""Where a Python source can be changed by one small mistake, and what it reads afterwards."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

OPPOSITES = {
    **dict(pair for a, b in (("<", "<="), (">", ">="), ("==", "!=")) for pair in ((a, b), (b, a))),
    **dict(pair for a, b in (("in", "not in"), ("is", "is not")) for pair in ((a, b), (b, a))),
    **dict(pair for a, b in (("+", "-"), ("*", "//"), ("&", "|"), ("<<", ">>")) for pair in ((a, b), (b, a))),
    "/": "*",
    "%": "//",
    "**": "*",
    "^": "&",
    "@": "+",
    "and": "or",
    "or": "and",
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
}
"""What is written in the place of an operator or function."""

# Longest first, so that `<=` is not read as `<`.
_OPERATOR = re.compile(
    r"is\s+not|not\s+in|\*\*|//|<<|>>|<=|>=|==|!=|\bin\b|\bis\b|\band\b|\bor\b|[-+*/%<>&|^@]"
)
_COMMENT = re.compile(r"#[^\n]*")


class Place(NamedTuple):
    """One change of a source.

    Attributes:
        line: line number from 1 at which the changed text begins.
        start: offset of the changed text in the source.
        end: offset behind it.
        old: the text as it is.
        new: the text in its place.
    """

    line: int
    start: int
    end: int
    old: str
    new: str

    @property
    def is_number(self) -> bool:
        """Whether a number is changed; sources have more of them than of anything else."""
        return self.new.endswith("+ 1)")

    def changes(self, source: str) -> bool:
        """Whether the changed source compiles, and to something else."""
        try:
            return ast.dump(ast.parse(self.applied(source))) != ast.dump(ast.parse(source))
        except SyntaxError:
            return False

    def applied(self, source: str) -> str:
        """Return the source with the change in it."""
        return source[: self.start] + self.new + source[self.end :]

    def __str__(self) -> str:
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.line}: {old} -> {new}"


def places(source: str) -> list[Place]:
    """List every place of a source at which one of the known mistakes can be made, in order.

    Docstrings, annotations, messages, imports and code for type checkers are left alone.
    """
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(set(finder.found))


class _Finder(ast.NodeVisitor):
    """Collects the places of a source."""

    def __init__(self, source: str) -> None:
        self.found: list[Place] = []
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._lines = source.splitlines(keepends=True)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, right in zip([node.left, *node.comparators], node.comparators, strict=False):
            self._operators(left, right)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._operators(node.left, node.right)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._operators(left, right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._operators(node.target, node.value)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self._replace(node, self._text(node.operand))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace(node, str(not node.value))
        elif isinstance(node.value, int | float):
            self._replace(node, f"({self._text(node)} + 1)")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave messages alone."""

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in OPPOSITES:
            self._replace(node.func, OPPOSITES[node.func.id])
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await):
            self._replace(node, "pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(node, "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self._replace(node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace(node, "break")

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        for inner in ast.walk(node.annotation):
            if isinstance(inner, ast.Call):  # bounds of an option are written in its annotation
                self.visit(inner)
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in (
            *node.args.defaults,
            *(default for default in node.args.kw_defaults if default),
            *node.body,
        ):
            self.visit(part)

    def _negate(self, test: ast.expr) -> None:
        if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr):
            self._replace(test, f"not ({self._text(test)})")

    def _operators(self, left: ast.AST, right: ast.AST) -> None:
        """Swap the operator between two operands."""
        start, end = self._end(left), self._start(right)
        between = _COMMENT.sub(lambda comment: " " * len(comment[0]), self._source[start:end])
        found = _OPERATOR.search(between)
        if found is not None:
            known = " ".join(found[0].split())
            self._add(start + found.start(), start + found.end(), OPPOSITES[known])

    def _replace(self, node: ast.AST, new: str) -> None:
        self._add(self._start(node), self._end(node), new)

    def _add(self, start: int, end: int, new: str) -> None:
        line = self._source.count("\n", 0, start) + 1
        self.found.append(Place(line, start, end, self._source[start:end], new))

    def _text(self, node: ast.AST) -> str:
        return self._source[self._start(node) : self._end(node)]

    def _start(self, node: ast.AST) -> int:
        return self._offset(node.lineno, node.col_offset)

    def _end(self, node: ast.AST) -> int:
        return self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        """Turn a line and a column, which ``ast`` counts in bytes, into an offset."""
        text = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(text)


def changed_lines(diff: str) -> Iterator[tuple[str, int]]:
    """List the (file, line) pairs that a unified diff without context adds or changes."""
    name = ""
    for row in diff.splitlines():
        if row.startswith("+++ "):
            name = row[4:].removeprefix("b/")
        elif hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", row):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            yield from ((name, line) for line in range(first, first + count))
