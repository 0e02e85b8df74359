"""What a training run on many devices needs, before anyone rents them: on paper, and compiled without being run.

On paper: a decoder of P parameters with AdamW in float32 holds 12·P bytes; a step takes 8·P operations for each token
(activations are computed again), and sends, over an axis of d devices with rings, in numbers of the computing dtype

- data parallel: the sum of all gradients, 2·P·(d−1)/d;
- fully sharded: parameters gathered twice and gradients summed and split, 3·P·(d−1)/d;
- tensor parallel: five sums of all activations A a layer, and two beside, (5·layers + 2)·2·A·(d−1)/d.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from fnlearn.train.device import CHIPS, Chip
from fnlearn.train.dry_run import Decoder

__all__ = ["Decoder", "limits", "parameters", "plan", "seconds", "sent", "tables"]

Row = dict[str, Any]
TOGETHER = 8  # devices over which the combined layout splits each product: those of a machine with fast links
STATE = 3 * 4  # bytes a parameter: itself and AdamW's two averages, float32
WORK = 8  # multiplications and additions a parameter and token: forward 2, again 2, backward 4
NARROW = 2  # bytes of a number that is sent: bfloat16
REACHED = 0.5  # the share of its peak that a device is taken to reach
SHOWN = ("A100 80 GB", "H100", "H200", "B200", "TPU v5e", "TPU v5p", "TPU v6e")
MOST = 2**16  # devices


def plan(
    devices: Sequence[int] = (8, 64, 512),
    decoder: Decoder | None = None,
    rows: int = 1,
    *,
    dry: bool = True,
    told: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """What one device holds and sends, for each number of devices and layout.

    Args: devices: how many, each of 2 or more. decoder: its size; seven billion parameters when left out. rows:
        sequences of each part of the batch. dry: whether the step is also compiled for so many devices; float32, as a
        CPU's compiler does it. told: called with what is going on.
    Returns: plain data, a row for each layout: "devices", "layout", "axes", "fsdp", "rows", "state_bytes", "sent" (on
        paper, bytes by axis), and where compiled "compiled", as `dry_run` returns it, or its error.
    Raises: ValueError for numbers that are not possible.
    Source: Rajbhandari et al.: ZeRO (2020); Shoeybi et al.: Megatron-LM (2019).
    """
    size = decoder or Decoder()
    if not devices or min(devices) < 2:
        raise ValueError(f"devices must be numbers of 2 or more, got {list(devices)}")
    if rows < 1:
        raise ValueError(f"rows must be at least 1, got {rows}")
    found: list[Row] = []
    for count in devices:
        mine = [_row(size, count, name, axes, fsdp, rows) for name, axes, fsdp in _layouts(size, count)]
        if dry:
            told(f"compiling {len(mine)} layouts for {count} devices")
            for row, answer in zip(mine, _dry(size, count, mine, rows), strict=False):
                row["compiled"] = answer
        found += mine
    return found


def parameters(decoder: Decoder) -> int:
    """How many numbers a decoder learns.

    Args: decoder: its size.
    Returns: the count.
    Raises: nothing.
    """
    layer = 4 * decoder.width**2 + 3 * decoder.width * decoder.hidden + 2 * decoder.width
    return decoder.layers * layer + 2 * decoder.words * decoder.width + decoder.width


def sent(decoder: Decoder, axes: Mapping[str, int], fsdp: bool, rows: int) -> dict[str, float]:
    """Bytes that one device sends in a step, on paper, by axis of the mesh.

    Args: decoder: its size. axes: "data" and "model", with the devices along each. fsdp: whether parameters are split
        over "data" too. rows: sequences of each part of the batch.
    Returns: bytes, by axis.
    Raises: nothing.
    Source: the module's text.
    """
    data, model = axes.get("data", 1), axes.get("model", 1)
    activations = rows * decoder.steps * decoder.width
    over_data = (3 if fsdp else 2) * parameters(decoder) / model * (data - 1) / data
    over_model = (5 * decoder.layers + 2) * 2 * activations * (model - 1) / model
    return {"data": NARROW * over_data, "model": NARROW * over_model}


def seconds(row: Mapping[str, Any], chip: Chip, decoder: Decoder | None = None) -> tuple[float, float] | None:
    """How long a device computes and sends in a step.

    Neighbours along "model" share a machine's links; what goes beyond is summed in the machine first and then sent over
    the network.

    Args: row: of `plan`. chip: as `fnlearn.train.device` knows it. decoder: as for `plan`.
    Returns: seconds of computing, at half of the peak in bfloat16, and of sending; None where the chip has no such peak
        or the devices are more than its links join and no network is known.
    Raises: nothing.
    Source: the makers' numbers.
    """
    size, peak = decoder or Decoder(), chip.peaks.get("bfloat16")
    if peak is None or chip.group == 1 or (row["devices"] > chip.group and chip.network is None):
        return None
    model, data = row["axes"].get("model", 1), row["axes"].get("data", 1)
    work = WORK * parameters(size) * row["rows"] * size.steps / model
    near = {"model": min(model, chip.group), "data": max(1, min(data, chip.group // model))}
    sending = 0.0
    for axis, bytes_sent in row["sent"].items():
        sending += bytes_sent / chip.link if near[axis] > 1 else 0.0
        if row["axes"].get(axis, 1) > near[axis]:
            sending += bytes_sent / near[axis] / (chip.network or chip.link)
    return work / (REACHED * peak), sending


def limits(layout: str, chip: Chip, tokens: float, decoder: Decoder | None = None) -> int | None:
    """Up to how many devices a batch can be spread before sending takes longer than computing.

    Args: layout: "data", "fsdp", "tensor" or "combined". chip: as `fnlearn.train.device` knows it. tokens: of the whole
        batch. decoder: as for `plan`.
    Returns: the most devices, a power of two; 1 when two are too many; None where the chip's links are not known.
    Raises: nothing.
    Source: `seconds`.
    """
    size, best, count = decoder or Decoder(), 1, 2
    while count <= MOST:
        known = [each for each in _layouts(size, count) if each[0] == layout]
        for name, axes, fsdp in known:
            rows = tokens / size.steps / axes.get("data", 1)
            took = seconds(_row(size, count, name, axes, fsdp, rows), chip, size)
            if took is None:
                return best if best > 1 else None
            if took[1] > took[0] or rows < 1:
                return best
            best = count
        count *= 2
    return best


def tables(found: Sequence[Row], tokens: float, decoder: Decoder | None = None) -> list[Table]:
    """What one device holds and sends, and where devices would stop to help.

    Args: found: of `plan`. tokens: of the whole batch, for the second table. decoder: as for `plan`.
    Returns: two tables for `rich`.
    Raises: nothing.
    """
    size = decoder or Decoder()
    rows = found[0]["rows"]
    title = f"{parameters(size) / 1e9:.2f} billion parameters, {rows} × {size.steps} tokens for each part of the batch:"
    held = Table(title=title, title_justify="left", caption=HELD, caption_justify="left")
    held.add_column("devices", justify="right")
    for name in ("layout", "mesh"):
        held.add_column(name)
    for name in ("state", "temporary", "sends, on paper", "as compiled", "operations"):
        held.add_column(name, justify="right")
    held.add_column("fits")
    for row in found:
        held.add_row(*_held(row))
    title = f"Computing + sending in a step, and the devices over which {tokens / 2**20:.3g} Mi tokens can be spread:"
    scaling = Table(title=title, title_justify="left", caption=SCALING, caption_justify="left")
    scaling.add_column("device")
    last = {row["layout"]: row for row in found}
    for name, row in last.items():
        scaling.add_column(f"{name}, {row['devices']} devices", justify="right")
        scaling.add_column("up to", justify="right")
    for chip in (chip for chip in CHIPS if chip.name in SHOWN):
        cells: list[str] = []
        for name, row in last.items():
            took, most = seconds(row, chip, size), limits(name, chip, tokens, size)
            cells += ["–" if took is None else f"{took[0] * 1e3:.0f} + {took[1] * 1e3:.0f} ms", str(most or "–")]
        scaling.add_row(chip.name, *cells)
    return [held, scaling]


HELD = (
    "Of each device. state: parameters and AdamW's averages in float32; temporary: gradients and activations, as"
    " compiled in float32, at most; sends: bytes in a step, in bfloat16. A CPU's compiler sums where others sum and"
    " split, and sums each of several gradients by itself, so that it sends more than on paper."
)
SCALING = (
    "Computing at half of the published peak in bfloat16; sending as on paper, over published links, while nothing is"
    " computed. Up to: the last power of two at which sending takes no longer than computing, each part of the batch"
    " has a sequence, and links are known; memory apart."
)


def _layouts(size: Decoder, count: int) -> list[tuple[str, dict[str, int], bool]]:
    """Those that are possible with so many devices."""
    made = [("data", {"data": count}, False), ("fsdp", {"data": count}, True)]
    if _divides(size, count):
        made.append(("tensor", {"model": count}, False))
    if count > TOGETHER and count % TOGETHER == 0 and _divides(size, TOGETHER):
        made.append(("combined", {"data": count // TOGETHER, "model": TOGETHER}, True))
    return made


def _divides(size: Decoder, count: int) -> bool:
    return not any(number % count for number in (size.heads, size.width, size.hidden, size.words))


def _row(size: Decoder, count: int, name: str, axes: dict[str, int], fsdp: bool, rows: float) -> Row:
    shards = count if fsdp else axes.get("model", 1)
    state = STATE * parameters(size) / shards
    return {"devices": count, "layout": name, "axes": axes, "fsdp": fsdp, "rows": rows, "state_bytes": state,
            "sent": sent(size, axes, fsdp, rows)}  # type: ignore[arg-type] # fmt: skip


def _dry(size: Decoder, count: int, mine: Sequence[Row], rows: int) -> Iterator[Row]:
    """What the compiler says of each layout, in a process that has so many CPU devices."""
    layouts = [(row["axes"], "data" if row["fsdp"] else None) for row in mine]
    request = {"devices": count, "decoder": size, "rows": rows, "layouts": layouts}
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-m", "fnlearn.train.dry_run"], input=json.dumps(request), capture_output=True, text=True,
        env=clean | {"JAX_PLATFORMS": "cpu"}, check=False,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    yield from answers
    last = (done.stderr.strip().splitlines() or ["no reason was told"])[-1]
    for _ in range(len(mine) - len(answers)):
        yield {"error": f"the compiler ended with status {done.returncode}: {last[:200]}"}


def _held(row: Row) -> list[str]:
    compiled = row.get("compiled") or {}
    mesh = " × ".join(f"{name} {count}" for name, count in row["axes"].items())
    paper = sum(row["sent"].values())
    if "temporary_bytes" not in compiled:
        rest = [compiled.get("error", "–"), _size(paper), "–", "–"]
        needed = row["state_bytes"]
    else:
        whole = sum(compiled["sent"].values()) * NARROW / 4  # compiled in float32
        counted = sum(compiled["count"].values())
        rest = [_size(compiled["temporary_bytes"]), _size(paper), _size(whole), str(counted)]
        needed = compiled["state_bytes"] + compiled["temporary_bytes"]
    fits = [chip.name for chip in CHIPS if chip.name in SHOWN and chip.memory >= needed]
    everywhere = len(fits) == len(SHOWN)
    return [str(row["devices"]), row["layout"], mesh, _size(row["state_bytes"]), *rest,
            "all" if everywhere else ", ".join(fits) or "none"]  # fmt: skip


def _size(count: float) -> str:
    return f"{count / 1e9:.3g} GB"
