"""The expression of a size as Python that needs no import: torch's own calls `math` and `torch`."""

from typing import Any

from torch.utils._sympy.functions import IntTrueDiv
from torch.utils._sympy.printers import PythonPrinter

__all__ = ["text"]


class _Printer(PythonPrinter):
    def _rounded(self, value: Any, sign: str) -> str:
        """What is not greater; with a minus inside and one outside, what is not less."""
        if isinstance(value, IntTrueDiv):
            above, below = map(self._print, value.args)
            return f"({sign}({sign}({above}) // ({below})))"
        return f"({sign}int({sign}({self._print(value)}) // 1))"

    def _print_FloorToInt(self, expr: Any) -> str:
        return self._rounded(expr.args[0], "")

    def _print_CeilToInt(self, expr: Any) -> str:
        return self._rounded(expr.args[0], "-")

    def _print_TruncToInt(self, expr: Any) -> str:
        return f"int({self._print(expr.args[0])})"

    def _helper_sqrt(self, expr: Any) -> str:
        return f"(({self._print(expr)}) ** 0.5)"


def text(expression: Any) -> str:
    """The expression, which may round quotients and take roots."""
    return str(_Printer().doprint(expression))
