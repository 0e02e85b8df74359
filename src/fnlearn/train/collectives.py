"""What a compiled program sends from device to device, read out of its text."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Collective", "collectives"]

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
OPERATION = re.compile(rf" = (?P<type>.*?) (?P<kind>{'|'.join(KINDS)})(?P<start>-start)?\(")
ARRAY = re.compile(r"\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]")
HEADER = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) .*\{$")
CALLED = re.compile(r"\b(?P<how>body|condition|calls|to_apply|branch_computations)=(?P<names>\{[^}]*\}|%?[\w.\-]+)")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


class Collective(NamedTuple):
    """One operation in which devices exchange arrays.

    Args: kind: "all-reduce", "all-gather", "reduce-scatter", "all-to-all" or "collective-permute". bytes: of the whole
        array that a device has at the end (all-gather), or begins with. devices: that exchange with each other. times:
        how often it runs in one call of the program.
    Raises: nothing.
    """

    kind: str
    bytes: float
    devices: int
    times: int

    @property
    def sent(self) -> float:
        """Bytes that one device sends in one call, with the algorithms that send the least: rings."""
        share = (self.devices - 1) / self.devices
        return self.times * self.bytes * {"all-reduce": 2 * share, "collective-permute": 1.0}.get(self.kind, share)


def collectives(compiled: Any) -> list[Collective]:
    """The exchanges of a compiled program, those in loops as often as the loop runs.

        collectives(jax.jit(step).lower(state, batch).compile())

    A loop whose length XLA does not know counts once, and of branches each does.

    Args: compiled: what `jax.jit(f).lower(…).compile()` gives, or its text.
    Returns: one for each operation that the program runs at least once.
    Raises: nothing.
    Source: `jax.stages.Compiled.as_text`; Thakur et al.: Optimization of collective communication operations (2005).
    """
    text = compiled if isinstance(compiled, str) else compiled.as_text()
    bodies, entry = _computations(text)
    everyone = int(found[1]) if (found := re.search(r"num_partitions=(\d+)", text)) else 1
    return [
        Collective(*parts, times)
        for name, times in _runs(bodies, entry)
        for line in bodies[name]
        if (parts := _parts(line, everyone)) is not None
    ]


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """The lines of each computation, and the name of the first to run."""
    bodies: dict[str, list[str]] = {}
    entry = name = ""
    for line in text.splitlines():
        if line[:1] not in ("", " ", "}") and (header := HEADER.match(line)):
            name = header["name"]
            bodies[name] = []
            entry = name if header["entry"] else entry
        elif name:
            bodies[name].append(line)
    return bodies, entry


def _runs(bodies: dict[str, list[str]], entry: str) -> Iterator[tuple[str, int]]:
    """Every computation that is called, with how often."""
    todo = [(entry, 1)] if entry else []
    while todo:
        name, times = todo.pop()
        yield name, times
        for line in bodies[name]:
            trips = int(found[1]) if " while(" in line and (found := TRIPS.search(line)) else 1
            for call in CALLED.finditer(line):
                names = re.findall(r"[\w.\-]+", call["names"])
                todo += [(called, times * trips) for called in names if called in bodies]


def _parts(line: str, everyone: int) -> tuple[str, float, int] | None:
    """Kind, bytes and devices of an operation that exchanges something."""
    if (found := OPERATION.search(line)) is None:
        return None
    kind, devices = found["kind"], _devices(line, everyone)
    sizes = [_bytes(*array) for array in ARRAY.findall(found["type"])]
    begun = found["start"] and kind not in ("all-reduce", "all-to-all")  # such a pair is (what came, what comes out)
    size = max(sizes) if begun else sum(sizes)
    return kind, size * devices if kind == "reduce-scatter" and not begun else size, devices


def _devices(line: str, everyone: int) -> int:
    """How many exchange with each other; all forms in which XLA writes groups."""
    if found := re.search(r"replica_groups=\{\{([\d,]*)\}", line):
        return len(found[1].split(","))
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=", line):
        return int(found[1])
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", found[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", found[2]))
    return everyone


def _bytes(dtype: str, dims: str) -> float:
    bits = 8 if dtype == "pred" else int(re.findall(r"\d+", dtype)[0])
    return math.prod(int(dim) for dim in dims.split(",") if dim) * bits / 8
