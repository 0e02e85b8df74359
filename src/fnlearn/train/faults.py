"""Numbers that are not finite: where they come from, and steps that don't let them in.

A jaxpr is gone through equation by equation, as `jax_debug_nans` does, but after the fact: training itself runs at full
speed, and only a step that has failed is looked at.
"""

import signal
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, reduce
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from fnlearn.optim.grouping import named
from fnlearn.train.state import TrainState
from fnlearn.train.step import Metrics, Step

KINDS = {1: "inf", 2: "nan"}
FAILED = "nonfinite"  # the metric that says of which steps nothing was kept
Guarded = tuple[TrainState, jax.Array]  # the state, and whether nothing is to be changed any more

# Whose lines are not the user's; fnlearn's own are told where there are no others.
LIBRARIES = (*{sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), sysconfig.get_path("stdlib")}, "<frozen")
OWN = str(Path(__file__).parents[1])


class TrainingError(RuntimeError):
    """What ended a training, with what had been reached.

    Args: message: what happened, and what to do. state: the last good one, from which training can go on. epoch,
        batch: where in the data it happened, from 0.
    Raises: nothing.
    Source: this project.
    """

    def __init__(self, message: str, state: TrainState, epoch: int, batch: int):
        super().__init__(message)
        self.state, self.epoch, self.batch = state, epoch, batch


class NonFinite(NamedTuple):
    """The first operation that made numbers that are not finite out of numbers that are.

    Args: operation: its name, or "input" where they came in. made: "nan" or "inf". names: the parameters that went into
        its operands last, which tell the layer; of an input, its own. line: "file:line, in function" of the user's
        source. backward: whether it is the gradient's. rounds: in which round of each loop around it, from 0.
    Raises: nothing.
    Source: this project.
    """

    operation: str
    made: str
    names: tuple[str, ...]
    line: str
    backward: bool
    rounds: tuple[int, ...]

    def __str__(self) -> str:
        """In words."""
        if self.operation == "input":
            return f"{self.made} comes in with {', '.join(self.names)}"
        after = f", at or after the layer of {', '.join(self.names)}" if self.names else ", before any parameter"
        loop = "".join(f", in round {i} of a loop" for i in self.rounds)
        side = " of the gradient" if self.backward else ""
        return f"{self.made} first made by {self.operation!r}{side}{after}{loop}" + (self.line and f" ({self.line})")


class _Origin(NamedTuple):
    """The parameters that went into a value last, and when; a parameter itself has 0, a value without any has −1."""

    names: tuple[str, ...] = ()
    used: int = -1


class _Fault(NamedTuple):
    """An equation whose results are not finite, or the label of an input that is not."""

    at: int
    equation: Any
    made: list[str | None]  # "nan" or "inf", of each result
    had: list[str | None]  # of each operand


def find_nonfinite(function: Callable[..., Any], params: Any, *args: Any) -> NonFinite | None:
    """Where the first NaN or infinity of a computation comes from, if its results have one.

        find_nonfinite(jax.value_and_grad(loss), params, batch)

    The function is computed again, and the results of every operation are looked at. Infinities that were there by
    intent, such as a mask's, are not told, nor are those that reach no result.

    Args: function: pure, of arrays. params: a tree, whose names tell the layer. args: whatever else it takes.
    Returns: what made it, or None where all results are finite, or are not because infinities were put in.
    Raises: what the function raises.
    Source: `jax_debug_nans`; `torch.autograd.set_detect_anomaly`.
    """
    closed = jax.make_jaxpr(function)(params, *args)
    given = [(_Origin((named(path),), 0), x) for path, x in jax.tree_util.tree_leaves_with_path(params)]
    rest = [(f"argument {i + 1}", leaf) for i, x in enumerate(args) for leaf in jax.tree_util.tree_leaves_with_path(x)]
    labels = [*(o.names[0] for o, _ in given), *(f"{what} {named(path)}".strip() for what, (path, _) in rest)]
    origins = [*(o for o, _ in given), *[_Origin()] * len(rest)]
    return _search(closed, [*(x for _, x in given), *(x for _, (_, x) in rest)], origins, None, (), labels)


def _search(
    closed: Any,
    values: Sequence[Any],
    origins: Sequence[_Origin],
    wanted: Sequence[Any] | None,
    rounds: tuple[int, ...],
    labels: Sequence[str] = (),
) -> NonFinite | None:
    """The first equation on the way to the outputs that are wanted, all when left out, or the inputs with labels."""
    jaxpr, consts = (closed.jaxpr, closed.consts) if isinstance(closed, jex.ClosedJaxpr) else (closed, ())
    ends = [v for i, v in enumerate(jaxpr.outvars) if (wanted is None or wanted[i]) and isinstance(v, jex.Var)]
    jaxpr = jaxpr.replace(eqns=_needed(jaxpr.eqns, ends))
    values, variables = [*consts, *values], [*jaxpr.constvars, *jaxpr.invars]
    computed = list(dict.fromkeys(v for eqn in jaxpr.eqns for v in eqn.outvars))
    kinds = jax.jit(lambda *values: _kinds([*map(_run(jaxpr, values).get, computed)]))(*values)
    made = dict(zip([*variables, *computed], [*map(_made, values), *map(KINDS.get, kinds.tolist())], strict=True))
    of = lambda atom: _made(atom.val) if isinstance(atom, jex.Literal) else made[atom]  # noqa: E731
    faults = {v: _Fault(-1, label, [], []) for v, label in zip(jaxpr.invars, labels, strict=False) if of(v) == "nan"}
    for at, eqn in enumerate(jaxpr.eqns):
        fault = _Fault(at, eqn, [*map(of, eqn.outvars)], [*map(of, eqn.invars)])
        faults.update((v, fault) for v in eqn.outvars if of(v))
    causes = _causes([v for v in ends if v in faults], faults)
    if came := tuple(dict.fromkeys(c.equation for c in causes if c.at < 0)):
        return NonFinite("input", "nan", came, "", False, ())
    finite = [c for c in causes if not any(c.had)]
    nan = [c for c in causes if "nan" in c.made and "nan" not in c.had]  # of infinities that were put in
    first = min(finite or nan, key=lambda c: c.at, default=None)
    if first is None:
        return None
    known = _origins(jaxpr, dict(zip(variables, [*[_Origin()] * len(consts), *origins], strict=True)), first.at)
    operands = jax.jit(lambda *values: _operands(first.equation, _run(jaxpr, values, first.at)))(*values)
    return _inside(first, operands, [known.get(a, _Origin()) for a in _hashable(first.equation.invars)], rounds)


def _needed(equations: Sequence[Any], ends: Sequence[Any]) -> list[Any]:
    """Those that the ends are computed by, in their order."""
    needed, kept = set(ends), []
    for eqn in reversed(equations):
        if any(v in needed for v in eqn.outvars):
            kept.append(eqn)
            needed.update(_hashable(eqn.invars))
    return kept[::-1]


def _causes(ends: Sequence[Any], faults: Mapping[Any, _Fault]) -> list[_Fault]:
    """All from which what is not finite came down to the variables."""
    seen, left, causes = set(ends), list(ends), []
    while left:
        cause = faults[left.pop()]
        causes.append(cause)
        more = {v for v in _hashable(cause.equation.invars) if v in faults} - seen if cause.at >= 0 else set()
        seen |= more
        left += more
    return causes


def _inside(
    fault: _Fault, operands: Sequence[Any], origins: Sequence[_Origin], rounds: tuple[int, ...]
) -> NonFinite | None:
    """The equation in words, or what is found in the functions that it calls."""
    eqn = fault.equation
    name, params, found = eqn.primitive.name, eqn.params, None
    if name == "scan":
        found = _in_scan(params, operands, origins, rounds)
    elif name == "cond":
        branch = params["branches"][int(np.clip(operands[0], 0, len(params["branches"]) - 1))]
        found = _search(branch, operands[1:], origins[1:], fault.made, rounds)
    elif name != "while":
        bodies = [params.get(k) for k in ("jaxpr", "call_jaxpr", "fun_jaxpr")]
        body = next((b for b in bodies if _takes(b, operands)), None)
        found = None if body is None else _search(body, operands, origins, fault.made, rounds)
    if found is not None:
        return found._replace(line=found.line or _line(eqn))
    backward = "transpose(" in str(getattr(eqn.source_info, "name_stack", ""))
    made = "nan" if "nan" in fault.made else "inf"
    return NonFinite(name, made, _nearest(origins, 1).names, _line(eqn), backward, rounds)


def _in_scan(
    params: Mapping[str, Any], operands: Sequence[Any], origins: Sequence[_Origin], rounds: tuple[int, ...]
) -> NonFinite | None:
    """Round after round, until one makes a number that is not finite."""
    body, split = params["jaxpr"], params["num_consts"] + params["num_carry"]
    carried = list(operands[params["num_consts"] : split])
    run = jax.jit(jex.jaxpr_as_fun(body))
    for i in range(params["length"])[:: -1 if params["reverse"] else 1]:
        given = [*operands[: params["num_consts"]], *carried, *(x[i] for x in operands[split:])]
        values = run(*given)
        made = [_made(x) for x in values]
        if any(made) and (found := _search(body, given, origins, made, (*rounds, i))) is not None:
            return found
        carried = values[: params["num_carry"]]
    return None


def _origins(jaxpr: Any, known: dict[Any, _Origin], until: int) -> dict[Any, _Origin]:
    """Of every variable before an equation."""
    for at, eqn in enumerate(jaxpr.eqns[:until]):
        origin = _nearest([known[v] for v in _hashable(eqn.invars) if v in known], at + 1)
        known.update((v, origin) for v in eqn.outvars)
    return known


def _nearest(origins: Sequence[_Origin], at: int) -> _Origin:
    """The parameters that went into operands last: now, where one of the operands is nothing else."""
    pure = [o for o in origins if o.used == 0]
    if pure:
        names = tuple(dict.fromkeys(n for o in pure for n in o.names))
        return _Origin(names, 0 if len(pure) == len(origins) else at)
    return max(origins, key=lambda o: o.used, default=_Origin())


def _run(jaxpr: Any, values: Sequence[Any], until: int | None = None) -> dict[Any, Any]:
    """The variables of a jaxpr, those before an equation."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], values, strict=True))
    for eqn in jaxpr.eqns[:until]:
        used = {v: known[v] for v in _hashable(eqn.invars) if v is not None}
        info = jaxpr.debug_info._replace(arg_names=("",) * len(used), result_paths=("",) * len(eqn.outvars))
        alone = jaxpr.replace(
            constvars=[], invars=[*used], outvars=eqn.outvars, eqns=[eqn], effects=eqn.effects, debug_info=info
        )
        results = jex.jaxpr_as_fun(jex.ClosedJaxpr(alone, ()))(*used.values())
        known.update(zip(eqn.outvars, results, strict=True))
    return known


def _operands(eqn: Any, known: Mapping[Any, Any]) -> list[Any]:
    return [v.val if isinstance(v, jex.Literal) else known[v] for v in eqn.invars]


def _hashable(atoms: Sequence[Any]) -> list[Any]:
    """The variables, and None for numbers that stand in the source."""
    return [None if isinstance(v, jex.Literal) else v for v in atoms]


def _kinds(values: Sequence[Any]) -> jax.Array:
    """Of each array whether it has NaN (2), infinities (1) or neither (0)."""

    def kind(x: Any) -> jax.Array:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return jnp.int8(0)
        return jnp.where(jnp.isnan(x).any(), jnp.int8(2), jnp.where(jnp.isfinite(x).all(), jnp.int8(0), jnp.int8(1)))

    return jnp.stack([jnp.int8(0), *map(kind, values)])[1:]


def _takes(body: Any, operands: Sequence[Any]) -> bool:
    """Whether it is a function of these arguments: what each device computes of them is not."""
    if not isinstance(body, jex.ClosedJaxpr | jex.Jaxpr):
        return False
    return [getattr(v.aval, "shape", ()) for v in getattr(body, "jaxpr", body).invars] == [*map(np.shape, operands)]


def _made(x: Any) -> str | None:
    """Whether an array has "nan", or else "inf"; None where all numbers are finite."""
    if not jnp.issubdtype(jnp.result_type(x), jnp.inexact):
        return None
    numbers = np.asarray(x)  # without a function compiled for each shape
    return None if np.isfinite(numbers).all() else "nan" if np.isnan(numbers).any() else "inf"


def _line(eqn: Any) -> str:
    """The innermost line of the user's that an equation is from."""
    traceback = getattr(eqn.source_info, "traceback", None)
    frames = [f for f in getattr(traceback, "frames", ()) if not f.file_name.startswith(LIBRARIES)]
    own = [f for f in frames if not f.file_name.startswith(OWN)] or frames
    return f"{own[0].file_name}:{own[0].line_num}, in {own[0].function_name}" if own else ""


@contextmanager
def terminated(asked: bool) -> Iterator[Callable[[], bool]]:
    """Whether the process was told to end by SIGTERM, which does not end it by itself meanwhile.

    Of several processes all are told at the same turn, when any of them was: JAX's preemption service, which
    `jax.distributed.initialize` starts, takes the signal and agrees on the turn.

    Args: asked: False leaves the signal as it is, as any thread but the main one has to.
    Returns: a context manager that gives a function, to be called once after each turn.
    """
    told: list[int] = []
    if not asked:
        yield lambda: False
    elif jax.process_count() > 1:
        turn = count()
        yield lambda: _agreed(next(turn))
    elif threading.current_thread() is not threading.main_thread():
        yield lambda: False
    else:
        before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
        try:
            yield lambda: bool(told)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _agreed(turn: int) -> bool:
    """Whether it is the turn after which all processes end; never where the service is switched off."""
    try:
        return multihost_utils.reached_preemption_sync_point(turn)
    except RuntimeError:
        return False


@lru_cache(32)  # one function for one step, so that it is compiled once
def guarded(step: Step, latch: bool) -> Callable[[Guarded, Any], tuple[Guarded, Metrics]]:
    """A step that keeps nothing of a step that failed; no number leaves the device for it.

    A step has failed when its loss is not finite, or a number of the state is not that was before it. The count of
    steps goes on, as it does where a loss scale skips one; such a step has not failed, and its scale is kept.

    Args: step: as `make_step` returns it. latch: whether nothing is changed after a failure either.
    Returns: ((state, whether it failed), batch) → the same and the metrics, among them whether nothing was kept.
    Source: `optax.apply_if_finite`, which looks at the updates alone.
    """

    def go(carried: Guarded, batch: Any) -> tuple[Guarded, Metrics]:
        state, stopped = carried
        after, metrics = step(state, batch)
        skipped = jnp.asarray(metrics.get("skipped", False))
        failed = stopped | ((_lost(state, after) | ~jnp.isfinite(metrics["loss"])) & ~skipped)
        before = state if latch else state.replace(step=after.step)
        kept = jax.tree.map(lambda new, old: jnp.where(failed, old, new), after, before)
        return (kept, failed & latch), {**metrics, FAILED: failed}

    return go


def _lost(before: Any, after: Any) -> jax.Array:
    """Whether a number that was finite is not any more."""
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    lost = [(jnp.isfinite(a) & ~jnp.isfinite(b)).any() for a, b in pairs if jnp.issubdtype(a.dtype, jnp.inexact)]
    return reduce(jnp.logical_or, lost, jnp.bool_(False))


def explained(step: Step, state: TrainState, batch: Any) -> str:
    """Where a step's first number that is not finite comes from, in words."""

    def after(params: Any, rest: TrainState, batch: Any) -> tuple[jax.Array, TrainState]:
        state, metrics = step(rest.replace(params=params), batch)
        return metrics["loss"], state

    given = state.params, state.replace(params=None), batch
    try:  # of the loss alone first, which is less to go through
        found = find_nonfinite(lambda *x: after(*x)[0], *given) or find_nonfinite(lambda *x: after(*x)[1], *given)
    except Exception as error:  # the fault itself is what is to be told
        return f"where it comes from can't be told: {error!r}"
    if found is None:
        return "no operation makes it of finite numbers, from the state that is there"
    names = tuple(n.replace("argument 1", "the state's").replace("argument 2", "the batch's") for n in found.names)
    return str(found._replace(names=names))
