"""Whether each example and its twin in PyTorch are the same, step by step, by the equivalence kit.

Run `python examples/twins.py --steps 20`.
"""

import tyro
from rich.console import Console

import char_gpt_torch
import digits_cnn_torch
import lstm_torch
import vae_torch
from fnlearn import equivalence

COMPARE = {module.__name__: module.compare for module in (char_gpt_torch, digits_cnn_torch, lstm_torch, vae_torch)}

MOST = 22  # batches of the digits


def main(steps: int = 20) -> None:
    """Compare all four runs; the exit status is 1 if any of them parts.

    Args:
        steps: of training, at most 22, on the same batches, with the same numbers drawn by dropout.
    """
    if not 1 <= steps <= MOST:
        raise SystemExit(f"steps must be from 1 to {MOST}, an epoch of the smallest example; got {steps}")
    console, answers = Console(), []
    for name, compare in COMPARE.items():
        answers.append(compare(steps))
        theirs, mine = answers[-1].curves["float32.loss"]
        console.print(
            f"{name}: loss {mine[0]:.6f} → {mine[-1]:.6f} here, {theirs[0]:.6f} → {theirs[-1]:.6f} in PyTorch"
        )
        console.print(equivalence.tables(answers[-1:]))
    raise SystemExit(not all(answer.ok for answer in answers))


if __name__ == "__main__":
    tyro.cli(main)
