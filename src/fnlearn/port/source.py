"""What the user's own file says at a place: where a statement begins, and which comments belong to it."""

import ast
import io
import itertools
import linecache
import tokenize
from functools import cache
from types import FrameType

from fnlearn.port.graph import Where
from fnlearn.port.names import comment

__all__ = ["called", "comments", "said", "start", "turned"]


def start(where: Where) -> Where:
    """The first line of the statement that a place is in."""
    return Where(where.file, _starts(where.file).get(where.line, where.line), where.function)


def said(where: Where) -> str:
    """The text of the statement that a place is in."""
    begin, starts = start(where).line, _starts(where.file)
    lines = [line for line in starts if starts[line] == begin] or [where.line]
    return "".join(linecache.getline(where.file, line) for line in sorted(lines))


def called(frame: FrameType) -> ast.Call | None:
    """The call that a frame is at, as the file has it; None where that is not known."""
    found = _expression(frame)
    return found if isinstance(found, ast.Call) else None


def turned(frame: FrameType | None) -> bool:
    """Whether a frame is at an operator that has a number before it, as `1 + x` has."""
    found = _expression(frame) if frame is not None else None
    left = found.left if isinstance(found, ast.BinOp) else None
    return isinstance(left, ast.Constant) or (isinstance(left, ast.UnaryOp) and isinstance(left.operand, ast.Constant))


def _expression(frame: FrameType) -> ast.expr | None:
    place = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
    first, last, begin, end = place
    if first is None or last is None or begin is None or end is None:
        return None
    lines = [linecache.getline(frame.f_code.co_filename, line).encode() for line in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][begin:]
    try:
        return ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return None


def comments(where: Where) -> tuple[list[str], str]:
    """The comment lines above a statement, and the comment at its end."""
    said, alone, first = _comments(where.file), _alone(where.file), where.line
    above = []
    while first - 1 in alone:
        first -= 1
        above.append(comment(said[first]))
    lines = [line for line, begin in _starts(where.file).items() if begin == where.line] or [where.line]
    behind = [said[line] for line in lines if line in said]
    return above[::-1], comment(behind[-1]) if behind else ""


@cache
def _starts(file: str) -> dict[int, int]:
    """For each line of a simple statement the line on which it begins."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = node.lineno
    return found


@cache
def _comments(file: str) -> dict[int, str]:
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO("".join(linecache.getlines(file))).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return found
    return found


@cache
def _alone(file: str) -> set[int]:
    """The lines that hold a comment and nothing else."""
    lines = linecache.getlines(file)
    return {line for line in _comments(file) if lines[line - 1].lstrip().startswith("#")}
