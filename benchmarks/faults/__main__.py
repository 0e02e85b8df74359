"""Put every fault into its port and ask where the models part: `python -m benchmarks.faults [--quick]`."""

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import track

from benchmarks import machine
from benchmarks.faults import jax_side, torch_side
from benchmarks.faults.table import FAULTS, Fault
from fnlearn import equivalence, files
from fnlearn.equivalence import Answer, Pair
from fnlearn.equivalence.check import first

STEPS = 4
WIDTHS = (8, 12)  # of the correct pairs, each with five seeds
SEEDS = 5
RESULT = Path(__file__).with_name("results.json")


def main(quick: bool = False, only: str = "") -> int:
    """Print the share of faults found, the share found where they are, and the false alarms on correct ports.

    Args:
        quick: One fault and one correct pair of each model; nothing is written.
        only: Faults of this model alone; nothing is written.
    """
    jax.config.update("jax_default_matmul_precision", "highest")
    result = measure(quick, only)
    told = summary(result)
    Console().print(told, markup=False)
    for row in [*result["faults"], *result["correct"]]:
        if row["missed"]:
            Console().print(
                f"{row['model']}: {row['name']}: {row['first'] or 'nothing found'}", markup=False, width=160
            )
    if not quick and not only:
        with files.replacing(RESULT) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(any(row["missed"] for row in [*result["faults"], *result["correct"]]))


def measure(quick: bool, only: str = "") -> dict[str, Any]:
    """What is found of each fault, and in each correct pair."""
    faults = [fault for fault in FAULTS if only in ("", fault.model)]
    pairs = [(model, width, seed) for model in torch_side.MODELS for width in WIDTHS for seed in range(SEEDS)]
    pairs = [each for each in pairs if only in ("", each[0])]
    if quick:
        faults = list({fault.model: fault for fault in faults}.values())
        pairs = [(model, width, seed) for model, width, seed in pairs if (width, seed) == (WIDTHS[0], 0)]
    console = Console(stderr=True)
    found = [judged(fault) for fault in track(faults, "faults", console=console)]
    correct = [alarm(*each) for each in track(pairs, "correct pairs", console=console)]
    return {"machine": machine.description(), "faults": found, "correct": correct}


def judged(fault: Fault) -> dict[str, Any]:
    """What is named first when a fault is in the port."""
    start = time.perf_counter()
    place = first(list(until_wrong(fault.model, edited(fault), WIDTHS[0], 0)))
    located = bool(place) and re.search(fault.place, place) is not None
    seconds = time.perf_counter() - start
    return {**fault._asdict(), "first": place, "detected": bool(place), "missed": not located, "seconds": seconds}


def alarm(model: str, width: int, seed: int) -> dict[str, Any]:
    """What is found in a port that is right."""
    start = time.perf_counter()
    answers = list(until_wrong(model, jax_side, width, seed))
    worst = [leaf.ratio for answer in answers for leaf in answer.leaves if np.isfinite(leaf.ratio)]
    seconds = time.perf_counter() - start
    name = f"width {width}, seed {seed}"
    place = first(answers)
    return {
        "model": model,
        "name": name,
        "first": place,
        "missed": bool(place),
        "worst": max(worst),
        "seconds": seconds,
    }


def until_wrong(name: str, side: ModuleType, width: int, seed: int) -> Iterator[Answer]:
    """All questions in their order, up to the first that is answered with no."""
    both, model = pair_of(name, side, width, seed), torch_side.MODELS[name]
    data = list(torch_side.batches(model, STEPS, seed))
    transformation = getattr(side, f"{name}_optimizer")
    losses = (model.loss, getattr(side, f"{name}_loss"))
    questions = (
        lambda: equivalence.setup(both),
        lambda: equivalence.layers(both, data[0][0]),
        lambda: equivalence.forward(both, data[0][0]),
        lambda: equivalence.backward(both, data[0][0]),
        lambda: equivalence.optimizer(model.optimizer, transformation, both.params, steps=STEPS),
        lambda: equivalence.training(both, model.optimizer, transformation, data, losses, jax_batches=side.order(data)),
    )
    for ask in questions:
        answer = ask()
        yield answer
        if not answer.ok:
            return


def pair_of(name: str, side: ModuleType, width: int, seed: int) -> Pair:
    """A model and its port with the same weights; norms don't start at one and zero, where much can hide."""
    torch.manual_seed(seed)
    module = torch_side.MODELS[name].module(width)
    with torch.no_grad():
        for part in module.parameters():
            if part.ndim == 1:
                part.add_(0.3 * torch.randn_like(part))
        for key, buffer in module.named_buffers():
            if key.endswith("running_var"):
                buffer.add_(torch.rand_like(buffer))
            elif key.endswith("running_mean"):
                buffer.add_(0.3 * torch.randn_like(buffer))
    both = equivalence.pair(module, getattr(side, name))
    return both._replace(params=side.tree(both.params))


def edited(fault: Fault) -> ModuleType:
    """`jax_side` with a fault in the text of its model."""
    text = Path(jax_side.__file__).read_text(encoding="utf-8")
    begin = text.index(f"- {fault.model}\n") if f"- {fault.model}\n" in text else 0
    end = text.index("\n# ---", begin)
    at = 0 if text[begin:end].count(fault.old) == 0 else begin
    if text[at:].count(fault.old) == 0 or text[begin:end].count(fault.old) > 1:
        raise ValueError(f"{fault.model}: {fault.name}: the text must occur once: {fault.old}")
    changed = text[:at] + text[at:].replace(fault.old, fault.new, 1)
    module = ModuleType(f"fault_{abs(hash(fault))}")
    module.__file__ = jax_side.__file__
    sys.modules[module.__name__] = module  # where the layers of a plain module are looked up
    exec(compile(changed, f"{fault.model}: {fault.name}", "exec"), vars(module))
    return module


def summary(result: dict[str, Any]) -> str:
    """The three shares in one line."""
    faults, correct = result["faults"], result["correct"]
    detected, located = sum(row["detected"] for row in faults), sum(not row["missed"] for row in faults)
    alarms = sum(row["missed"] for row in correct)
    return (
        f"{detected} of {len(faults)} faults detected, {located} located, "
        f"{alarms} false alarms on {len(correct)} correct pairs"
    )


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
