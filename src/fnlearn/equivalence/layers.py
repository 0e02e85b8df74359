"""The question about the layers of a model: the first one where the two sides part."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from fnlearn.equivalence import jax_side, torch_side
from fnlearn.equivalence.answer import Answer, Findings
from fnlearn.equivalence.asked import Call, calls_of
from fnlearn.equivalence.pair import Pair
from fnlearn.equivalence.torch_side import ROOT, Event
from fnlearn.equivalence.watch import Told, distance, laid_like

Arrays = list[np.ndarray]


def layers(
    both: Pair,
    inputs: Call | list[Call],
    *,
    dtypes: Sequence[str] = ("float32",),
    modes: Sequence[str] = ("eval",),
    isolate: bool = False,
    key: Any = None,
) -> Answer:
    """Which layer is the first to differ, in the order in which torch runs them.

    Args: both, inputs, dtypes, modes, key: as for `forward`. isolate: run each JAX layer on what torch's own was given,
        so that errors don't add up.
    Returns: an `Answer`; leaves are named mode.dtype.PATH.in.POSITION and mode.dtype.PATH.out.POSITION, PATH being the
        module's name, "(root)" of the model itself, and PATH#2 at its second call. A problem names the first place
        where the float64 answers part: a layer whose input is right and whose output is not, or the model around a
        layer whose input is wrong already. Notes name the modules that the JAX side didn't tell.
    Raises: as `forward`.
    """
    calls, found = calls_of(inputs), Findings("layers")
    untold: dict[str, None] = {}
    asked, found.notes = torch_side.answerable(both.module, calls, dtypes, modes)
    for request in asked:
        at = request.among(calls)
        events, drawn = torch_side.layers(both.module, calls, request)
        if isolate and drawn:
            found.notes.append(f"{at}: layers are not isolated where the model draws random numbers")
            continue
        wide = events if request.dtype == "float64" else torch_side.layers(both.module, calls, request.wide)[0]
        told = jax_side.layers(both, calls, request, key, events, drawn, isolate)
        matched = list(_matched(both, events, told, isolate))
        rounding = functools.cache(functools.partial(torch_side.layers_rounding, both.module, calls, request))
        unlike: Event | None = None  # helps to say where a difference begins, but is none by itself
        for i, (event, reference, mine) in enumerate(zip(events, wide, matched, strict=True)):
            if mine is OTHER_SHAPE:
                unlike = unlike or event
            if mine is None or mine is OTHER_SHAPE:
                untold |= {} if event.what == "in" else {event.path: None}
                continue
            name = f"{at}.{_name(event)}.{event.what}"
            exact = request.dtype == "float64"
            count = len(mine)
            theirs, truth = (jax.tree.leaves(side.tree)[:count] for side in (event, reference))
            again = lambda i=i, n=count, rounding=rounding: (of := rounding()) and jax.tree.leaves(of[i])[:n]  # noqa: E731
            same = found.compare(name, theirs, mine, None if exact else truth, rounding=again)
            if same:
                unlike = None  # what came of it is right
            elif exact and not found.first:
                begin = unlike or event
                found.first = _place(begin, matched, events)
                found.problems.append(f"{at}: the first place that differs is {_words(begin, matched, events)}")
    if untold:
        what = "tells no call that can be run apart of" if isolate else "does not tell"
        found.notes.append(f"the JAX side {what} {len(untold)} modules: {', '.join(untold)}")
    return found.answer()


def _name(event: Event) -> str:
    return f"{event.path}#{event.occurrence + 1}" if event.occurrence else event.path


OTHER_SHAPE: Arrays = []  # of a call that was told, but gave or took something that torch's module doesn't


def _matched(both: Pair, events: list[Event], told: list[Told], isolate: bool) -> Iterator[Arrays | None]:
    """For each of torch's events the arrays of the JAX side, None, or OTHER_SHAPE."""
    found: dict[tuple[str, int], Told | None] = {}
    outs = {(e.path, e.occurrence): jax.tree.leaves(e.tree) for e in events if e.what == "out"}
    modules = torch_side.facts(both.module).modules
    unlike = set[str]()
    for path in dict.fromkeys(path for path, _ in outs):
        theirs = [arrays for (of, _), arrays in outs.items() if of == path]
        groups = _groups(path, theirs, told) or _groups(path, theirs, _tied(path, modules, told))
        if not groups and len({call.group for call in told if call.path == path}) == len(theirs):
            unlike.add(path)
        for occurrence, arrays in enumerate(theirs):
            same = len(groups) == len(theirs)
            found[path, occurrence] = _nearest(arrays, groups[occurrence]) if same else None
    for event in events:
        call, arrays = found.get((event.path, event.occurrence)), jax.tree.leaves(event.tree)
        if call is None:
            yield OTHER_SHAPE if event.path in unlike and event.what == "out" else None
        elif event.what == "out":
            yield _fitting(arrays, call)
        elif isolate or call.tapped or not arrays or len(call.inputs) != len(arrays):
            yield None
        else:
            laid = _laid(arrays, _values(call.inputs))
            yield OTHER_SHAPE if laid is None else laid


def _groups(path: str, theirs: list[Arrays], told: list[Told]) -> list[list[Told]]:
    """The calls told for a module, those inside one another together, as long as their outputs have its shapes."""
    groups: dict[int, list[Told]] = {}
    for call in told:
        if call.path == path and any(_fitting(arrays, call) is not None for arrays in theirs):
            groups.setdefault(call.group, []).append(call)
    return list(groups.values())


def _tied(path: str, modules: dict[str, tuple[str, ...]], told: list[Told]) -> list[Told]:
    """The calls told for another module that has the same parameters, as an embedding and the head tied to it."""
    own = modules.get(path)
    others = {other for other, names in modules.items() if names and names == own and not _related(path, other)}
    return [call._replace(path=path) for call in told if call.path in others]


def _related(a: str, b: str) -> bool:
    return ROOT in (a, b) or f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")


def _nearest(theirs: Arrays, calls: list[Told]) -> Told | None:
    """Of several functions with the same parameters, the one that is torch's module; the outer of two alike."""
    fitting = [(mine, call) for call in reversed(calls) if (mine := _fitting(theirs, call)) is not None]
    apart = lambda found: max(map(distance, theirs, found[0]), default=0.0)  # noqa: E731
    return min(fitting, key=apart, default=(None, None))[1]


def _fitting(theirs: Arrays, call: Told) -> Arrays | None:
    """What a call returned in torch's shapes: all of it, or what comes before new buffers."""
    whole = call.out[:1] if isinstance(call.out, list) else []
    return next((mine for out in (call.out, *whole) if (mine := _laid(theirs, _values(out))) is not None), None)


def _laid(theirs: Arrays, mine: Arrays) -> Arrays | None:
    """JAX's arrays in torch's shapes; one alone stands for the first, as a recurrence's output without its state."""
    if len(mine) not in (1, len(theirs)) or not theirs or any(x is None for x in mine):
        return None
    moved = [laid_like(x, a, (-1, 1)) for x, a in zip(mine, theirs, strict=False)]
    return None if any(x is None for x in moved) else [x for x in moved if x is not None]


def _values(tree: Any) -> Arrays:
    return [cell.value for cell in jax.tree.leaves(tree)]


def _place(event: Event, matched: Sequence[Any], events: Sequence[Event]) -> str:
    """The module to look into: the one itself, or the nearest told around it if its input is wrong already."""
    if event.what == "out":
        return event.path
    told = {event.path for event, mine in zip(events, matched, strict=True) if mine}
    return next((path for path in _parents(event.path) if path in told), ROOT)


def _words(event: Event, matched: Sequence[Any], events: Sequence[Event]) -> str:
    place = _place(event, matched, events)
    kinds = {e.path: e.kind for e in events}
    described = f"{place} ({kinds.get(place, 'the model')})"
    if event.what == "in":
        return f"{described}, before {_name(event)} is called: the input of that is wrong already"
    parts = any(e.path.startswith(f"{place}.") or place == ROOT != e.path for e in events)
    return f"{described}: its input is right, its output is not" + (", though what it calls agrees" if parts else "")


def _parents(path: str) -> list[str]:
    """The modules around one, from the inside."""
    keys = path.split(".")
    return [".".join(keys[:n]) for n in range(len(keys) - 1, 0, -1)] + [ROOT]
