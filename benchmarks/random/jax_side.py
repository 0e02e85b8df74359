"""The same draws by `TorchGenerator`, which needs no torch."""

from typing import Any

from benchmarks.harness import Run
from fnlearn.random import TorchGenerator


def draw(row: Any) -> Run:
    generator = TorchGenerator(0)

    def run(count: int) -> Any:
        used = generator if count == 1 else TorchGenerator(0)
        return getattr(used, row.method)(*row.args, **row.options)

    return run
