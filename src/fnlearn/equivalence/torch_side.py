"""What the torch module answers: numpy arrays by torch's names, computed, or read from a recording of them.

An answer is a plain dict: `out`, `buffers` as they are afterwards, `grad` where gradients were asked, and what was
drawn. Modules are copied before they are run.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from fnlearn.equivalence import doubts
from fnlearn.equivalence.asked import Call, Request, arguments, cotangent, plain, requests
from fnlearn.equivalence.compare import widest
from fnlearn.equivalence.completed import completed
from fnlearn.equivalence.draws import Draw, drawn
from fnlearn.equivalence.prepared import copied, prepared, read, tensor
from fnlearn.equivalence.widened import widened
from fnlearn.optim import torch_state
from fnlearn.tree import as_numpy, flatten

Batch = tuple[Call, Any]
Trajectory = dict[str, dict[str, np.ndarray]]
ROOT = "(root)"
DRAWS = "train: not compared, the module draws numbers there that can't be given to both sides"
PROBES = 8  # of ways to round; which side of a kink a number falls on is seen by half of them


class Event(NamedTuple):
    """A module of the model that is entered or left.

    Args: path: its name, "(root)" of the model itself. occurrence: how often it was called before. what: "in" or "out".
        kind: its class's name. tree: its input or output.
    """

    path: str
    occurrence: int
    what: str
    kind: str
    tree: Any


class Facts(NamedTuple):
    """What is known of a module without running it.

    Args: params, buffers: {name: (shape, dtype)}. frozen: parameters that are not trained. modules: {path: names of all
        its parameters}. problems, notes: what poisons a comparison; what may. unsaved: buffers and other tensors that
        the module holds and its `state_dict` leaves out, which a port may have among its buffers, or not.
    """

    params: dict[str, tuple[tuple[int, ...], str]]
    buffers: dict[str, tuple[tuple[int, ...], str]]
    frozen: tuple[str, ...]
    modules: dict[str, tuple[str, ...]]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    unsaved: tuple[str, ...] = ()


class Run(NamedTuple):
    """A run that torch is asked for.

    Args: make: makes the optimizer of a list of parameters. batches: for each step (inputs, target). loss: makes a
        number of (output, target). scheduler: makes one of the optimizer; it is stepped after every update. clip: is
        given the list of parameters when they have their gradients, and changes these.
    """

    make: Callable[[list[Any]], Any]
    batches: Sequence[Batch]
    loss: Callable[[Any, Any], Any]
    scheduler: Callable[[Any], Any] | None = None
    clip: Callable[[list[Any]], Any] | None = None


class Recording(NamedTuple):
    """The answers of a torch module, to be compared with where there is none.

    Args: inputs: the calls. batches: of a run, or None. answers: by what was asked. facts: about the module. made: when
        and by what it was recorded.
    """

    inputs: list[Call]
    batches: list[Batch] | None
    answers: dict[str, Any]
    facts: Facts
    made: str

    def answer(self, question: str, given: Any = None) -> Any:
        """What was recorded; ValueError when it wasn't, or other inputs were."""
        if question not in self.answers:
            known = ", ".join(sorted(self.answers))
            raise ValueError(f"{question!r} was not recorded; there are: {known}")
        if given is not None:
            mine, kept = ([as_numpy(x) for x in jax.tree.leaves(side)] for side in given)
            if len(mine) != len(kept) or not all(map(_same, mine, kept)):
                raise ValueError("the inputs are not those that were recorded; take them from the recording")
        return self.answers[question]


def facts(module: Any) -> Facts:
    """What is known of a module without running it."""
    if isinstance(module, Recording):
        return module.facts
    told = lambda x: (tuple(x.shape), str(x.dtype).removeprefix("torch."))  # noqa: E731
    of = {id(p): name for name, p in module.named_parameters()}
    return Facts(
        {name: told(p) for name, p in module.named_parameters()},
        {name: told(b) for name, b in _saved(module).items()},
        tuple(name for name, p in module.named_parameters() if not p.requires_grad),
        {path or ROOT: tuple(of[id(p)] for p in part.parameters()) for path, part in module.named_modules()},
        (*doubts.precision(module), *doubts.modes(module)),
        tuple(doubts.dropout(module)),
        tuple(_unsaved(module)),
    )


def weights(module: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers by name; buffers that its `state_dict` leaves out are left out."""
    if isinstance(module, Recording):
        kept: tuple[dict[str, Any], dict[str, Any]] = module.answer("weights")
        return kept
    return (
        {name: as_numpy(p) for name, p in module.named_parameters()},
        {name: as_numpy(b) for name, b in _saved(module).items()},
    )


def loaded(module: Any, arrays: Any, frozen: Collection[str] | None = None) -> Any:
    """The module with a port's arrays, by their names; ValueError when a parameter has none.

    What is not in its `state_dict` stays as it is. frozen: the parameters that are not trained, where that is set too.
    """
    import torch

    state = {name: torch_state.tensor(as_numpy(x)) for name, x in flatten(arrays).items()}
    if missing := [name for name, _ in module.named_parameters() if name not in state]:
        raise ValueError(f"{type(module).__name__} has parameters that the port has not: {', '.join(missing)}")
    for name, x in (*module.named_parameters(), *module.named_buffers()):
        x.data = x.data.to(torch.promote_types(x.dtype, state[name].dtype)) if name in state else x.data
    module.load_state_dict(state, strict=False)
    if frozen is not None:
        for name, p in module.named_parameters():
            p.requires_grad_(name not in frozen)
    return module


def answer(
    module: Any,
    calls: Sequence[Call],
    request: Request,
    gradients: bool,
    loss: Callable[[Any], Any] | None = None,
    constant: Collection[str] = (),
    probe: int = 0,
) -> dict[str, Any]:
    """Outputs, buffers afterwards, gradients if asked, those of constant inputs excepted, and what was drawn."""
    if isinstance(module, Recording):
        kept: dict[str, Any] = module.answer(key(request, _what(gradients, loss)), (calls, module.inputs))
        return kept
    given = gradients, loss, constant, probe
    return _as_wide_as_asked(request.dtype, lambda: _computed(module, calls[request.call], request, *given))


def _computed(
    module: Any, call: Call, request: Request, gradients: bool, loss: Any, constant: Collection[str], probe: int
) -> dict[str, Any]:
    import torch

    mine = prepared(module, request, probe)
    leaves, shape = jax.tree.flatten(arguments(call, read))
    given = [tensor(leaf, request.dtype, request.seen, probe) for leaf in leaves]
    differentiated = [(str(i), x) for i, x in enumerate(given) if _is_float(x) and str(i) not in constant]
    floats = {position: x.requires_grad_() for position, x in differentiated} if gradients else {}
    args, kwargs = jax.tree.unflatten(shape, given)
    with torch.enable_grad(), _drawing(request) as draws:
        out = mine(*args, **kwargs)
        found: dict[str, Any] = {"out": plain(out)}
        if gradients:
            params = {name: p for name, p in mine.named_parameters() if p.requires_grad}
            wanted = [*params.values(), *floats.values()]
            outs = [loss(out)] if loss else jax.tree.leaves(found["out"])
            filled = iter(_pulled_back(outs, wanted, loss is None))
            found["grad"] = {
                part: {k: next(filled) for k in of} for part, of in (("params", params), ("input", floats))
            }
    return {**_numpy({**found, "buffers": _saved(mine)}), "draws": list(draws)}


def _pulled_back(outs: Sequence[Any], wanted: Sequence[Any], randomly: bool) -> list[Any]:
    """The gradients of a random linear combination of outputs, or of one number; zeros of what has no part in it."""
    import torch

    pulled = {i: x for i, x in enumerate(outs) if torch.is_tensor(x) and x.requires_grad}
    along = (
        [torch.from_numpy(cotangent(i, x.shape, x.is_complex())).to(x) for i, x in pulled.items()] if randomly else None
    )
    if not (pulled and wanted):
        return [torch.zeros_like(x) for x in wanted]
    grads = torch.autograd.grad(list(pulled.values()), wanted, along, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(grads, wanted, strict=True)]


def layers(module: Any, calls: Sequence[Call], request: Request, probe: int = 0) -> tuple[list[Event], list[Draw]]:
    """What goes into and out of every module of the model, in the order in which it happens, and what was drawn."""
    if isinstance(module, Recording):
        kept: tuple[list[Event], list[Draw]] = module.answer(key(request, "layers"), (calls, module.inputs))
        return kept
    return _as_wide_as_asked(request.dtype, lambda: _told(module, calls[request.call], request, probe))


def _told(module: Any, call: Call, request: Request, probe: int) -> tuple[list[Event], list[Draw]]:
    import torch

    events: list[Event] = []
    counts: dict[str, int] = {}
    mine = prepared(module, request, probe)

    def entered(path: str) -> Callable[..., None]:
        def hook(part: Any, args: Any, kwargs: Any) -> None:
            occurrence = counts[path] = counts.get(path, -1) + 1
            given = [*args, *kwargs.values()]
            events.append(Event(path, occurrence, "in", type(part).__name__, _numpy(_tensors(given))))

        return hook

    def left(path: str) -> Callable[..., None]:
        def hook(part: Any, args: Any, out: Any) -> None:
            events.append(Event(path, counts[path], "out", type(part).__name__, _numpy(plain(out))))

        return hook

    for path, part in mine.named_modules():
        part.register_forward_pre_hook(entered(path or ROOT), with_kwargs=True)
        part.register_forward_hook(left(path or ROOT))
    given = arguments(call, read)
    converted = jax.tree.map(lambda x: tensor(x, request.dtype, request.seen, probe), given)
    with torch.enable_grad(), _drawing(request) as draws:  # without gradients torch fuses whole encoder layers
        mine(*converted[0], **converted[1])
    return events, list(draws)


def run(module: Any, asked: Run, dtype: str, seen: str, probe: int = 0) -> tuple[Trajectory, list[list[Draw]]]:
    """A whole run: each quantity stacked over the steps, and what was drawn at each."""
    if isinstance(module, Recording):
        kept: tuple[Trajectory, list[list[Draw]]] = module.answer(
            key(Request(0, dtype, seen, True), "run"), (asked.batches, module.batches)
        )
        return kept
    return _as_wide_as_asked(dtype, lambda: _trained(module, asked, Request(0, dtype, seen, True), probe))


def _trained(module: Any, asked: Run, request: Request, probe: int) -> tuple[Trajectory, list[list[Draw]]]:
    import torch

    dtype, seen = request.dtype, request.seen
    mine = prepared(module, request, probe)
    params = {name: p for name, p in mine.named_parameters() if p.requires_grad}
    optimizer, steps, draws = asked.make(list(params.values())), [], []
    scheduler = asked.scheduler(optimizer) if asked.scheduler else None
    for position, (call, target) in enumerate(asked.batches):
        args, kwargs = jax.tree.map(lambda x: tensor(x, dtype, seen, probe), arguments(call, read))
        ((goal,), _) = jax.tree.map(lambda x: tensor(x, dtype, seen), arguments((target,), read))
        optimizer.zero_grad()
        with completed(), drawn(seen, position) as now:
            value = asked.loss(mine(*args, **kwargs), goal)
        value.backward()
        norm = torch.stack([p.grad.norm() for p in params.values() if p.grad is not None]).norm()
        if asked.clip:
            asked.clip(list(params.values()))
        optimizer.step()
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(value.detach())
        elif scheduler is not None:
            scheduler.step()
        steps.append(step(value, norm, dict(mine.named_parameters()), _saved(mine)))
        draws.append(list(now))
    return stacked(steps), draws


def answer_rounding(
    module: Any,
    calls: Sequence[Call],
    request: Request,
    gradients: bool,
    loss: Callable[[Any], Any] | None = None,
    constant: Collection[str] = (),
) -> Any:
    """By how much rounding may change an answer of `answer`."""
    what = key(request, f"rounding {_what(gradients, loss)}")
    parts = lambda r, probe=0: without_draws(answer(module, calls, r, gradients, loss, constant, probe))  # noqa: E731
    return _rounding(module, what, request.dtype, lambda: parts(request.wide), lambda probe: parts(request, probe))


def layers_rounding(module: Any, calls: Sequence[Call], request: Request) -> Any:
    """The same of `layers`: a tree for each event."""
    trees = lambda r, probe=0: [event.tree for event in layers(module, calls, r, probe)[0]]  # noqa: E731
    what = key(request, "rounding layers")
    return _rounding(module, what, request.dtype, lambda: trees(request.wide), lambda probe: trees(request, probe))


def run_rounding(module: Any, asked: Run, dtype: str) -> Any:
    """The same of `run`."""
    request = Request(0, dtype, dtype, True)
    whole = lambda computed, probe=0: run(module, asked, computed, dtype, probe)[0]  # noqa: E731
    what = key(request, "rounding run")
    return _rounding(module, what, dtype, lambda: whole("float64"), lambda probe: whole(dtype, probe))


def _rounding(module: Any, what: str, dtype: str, wide: Callable[[], Any], probe: Callable[[int], Any]) -> Any:
    """Torch's largest error over several ways to round: weights and inputs are changed by a unit in the last place.

    A single run's error says little where a computation is not smooth: which side of a kink a number falls on is a
    matter of its last bit. In float64 only what a module rounds to a narrower dtype itself is an error; None where it
    is known that there is nothing of the kind.
    """
    if isinstance(module, Recording):
        return module.answers.get(what) if dtype == "float64" else module.answer(what)
    if dtype != "float64":
        exact = wide()
        errors = [jax.tree.map(_error, probe(i), exact) for i in range(1, PROBES + 1)]
    else:
        errors = [_of_narrow_parts(probe, 0)]
        if any(jax.tree.leaves(errors)):
            errors += [_of_narrow_parts(probe, i) for i in range(1, PROBES + 1)]
    return jax.tree.map(lambda *of: max(of), *errors)


def _of_narrow_parts(probe: Callable[[int], Any], i: int) -> Any:
    with widened():
        exact = probe(i)
    return jax.tree.map(_error, probe(i), exact)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _error(x: np.ndarray, exact: np.ndarray) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(widest(x) - widest(exact))
    return float(distance[np.isfinite(distance)].max(initial=0))


def without_draws(found: dict[str, Any]) -> dict[str, Any]:
    """An answer's arrays alone."""
    return {part: tree for part, tree in found.items() if part != "draws"}


def _what(gradients: bool, loss: Any) -> str:
    return ("loss" if loss else "grad") if gradients else "out"


def step(loss: Any, norm: Any, params: Any, buffers: Any) -> Trajectory:
    """What is kept of a step."""
    parts = {"loss": {"": loss}, "gradients": {"norm": norm}, "params": params, "buffers": buffers}
    return {part: {name: as_numpy(x).copy() for name, x in values.items()} for part, values in parts.items()}


def stacked(steps: list[Trajectory]) -> Trajectory:
    """Each quantity over all steps."""
    return {
        part: {name: np.stack([step[part][name] for step in steps]) for name in values}
        for part, values in steps[0].items()
    }


def draws_otherwise(module: Any, call: Call) -> bool:
    """Whether a module in training gives something else for another seed, though what it draws is given to it."""
    if isinstance(module, Recording):
        return bool(module.answer("draws otherwise"))
    import torch

    outs = []
    with torch.random.fork_rng(), torch.no_grad():
        for seed in (0, 1):
            torch.manual_seed(seed)
            args, kwargs = jax.tree.map(lambda x: tensor(x, None, None), arguments(call, read))
            with drawn("float32"):
                outs.append(jax.tree.leaves(plain(copied(module).train().float()(*args, **kwargs))))
    return any(not np.array_equal(as_numpy(a), as_numpy(b), equal_nan=True) for a, b in zip(*outs, strict=True))


def answerable(
    module: Any, calls: Sequence[Call], dtypes: Sequence[str], modes: Sequence[str]
) -> tuple[list[Request], list[str]]:
    """What can be asked of a module, and notes on what can't: float64, and what draws what can't be given to it."""
    asked, notes = requests(calls, dtypes, modes), list[str]()
    if any(request.train for request in asked) and draws_otherwise(module, calls[0]):
        asked, notes = [request for request in asked if not request.train], [DRAWS]
    refused = {request: refuses(module, calls[request.call], request) for request in asked}
    notes += [f"{request.at}: not compared, {why}" for request, why in refused.items() if why]
    if refused and all(refused.values()):
        raise ValueError(f"the module is asked in float64 alone, but {next(iter(refused.values()))}; give other dtypes")
    return [request for request in asked if not refused[request]], notes


def refuses(module: Any, call: Call, request: Request) -> str:
    """Why a module can't be asked in float64: it raises there, as where it multiplies by what it makes in float32."""
    if request.dtype != "float64" or request.seen != "float64":
        return ""
    if isinstance(module, Recording):
        asked = key(request, "out") in module.answers or key(request, "run") in module.answers
        return "" if asked else "PyTorch raised there when it was recorded"
    try:
        _computed(module, call, request, False, None, (), 0)
    except Exception as error:  # whatever a module raises
        _computed(module, call, request._replace(dtype="float32", seen="float32"), False, None, (), 0)
        return f"PyTorch raises there: {str(error).partition(chr(10))[0] or type(error).__name__}"
    return ""


def dtypes_of_run(module: Any, asked: Run, dtypes: Sequence[str]) -> tuple[list[str], str]:
    """In which dtypes a run can be asked for, and why float64 is not among them where it isn't."""
    refused = refuses(module, asked.batches[0][0], Request(0, "float64", "float64", True))
    return list(dict.fromkeys((*dtypes, *(() if refused else ("float64",))))), refused


Made = TypeVar("Made")


def _as_wide_as_asked(dtype: str, make: Callable[[], Made]) -> Made:
    """What is made; in float64, where a module raises, with what it makes itself in float32 in float64 too."""
    try:
        return make()
    except Exception:
        if dtype == "float64":
            with contextlib.suppress(Exception), widened():
                return make()
        raise


def key(request: Request, what: str) -> str:
    """What an answer to a request is called in a recording."""
    return f"{what} {request.at}.{request.seen}.{request.call}"


@contextlib.contextmanager
def _drawing(request: Request) -> Iterator[list[Draw]]:
    drawing: contextlib.AbstractContextManager[list[Draw]] = contextlib.nullcontext([])
    with completed(), drawn(request.seen) if request.train else drawing as draws:
        yield draws


def _saved(module: Any) -> dict[str, Any]:
    saved = module.state_dict()
    return {name: b for name, b in module.named_buffers() if name in saved}


def _unsaved(module: Any) -> Iterator[str]:
    import torch

    saved = module.state_dict()
    yield from (name for name, _ in module.named_buffers() if name not in saved)
    for path, part in module.named_modules():
        yield from (f"{path}.{name}".lstrip(".") for name, x in vars(part).items() if torch.is_tensor(x))


def without_constants(module: Any, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """A port's buffers, without those that the module doesn't save either, as long as nothing changes them."""
    unsaved = facts(module).unsaved
    same = lambda name: name in before and _same(as_numpy(before[name]), as_numpy(after[name]))  # noqa: E731
    return {name: x for name, x in after.items() if name not in unsaved or not same(name)}


def _numpy(tree: Any) -> Any:
    return jax.tree.map(lambda x: as_numpy(x).copy(), tree)


def _tensors(values: Any) -> list[Any]:
    import torch

    return [x for x in jax.tree.leaves(plain(values)) if torch.is_tensor(x)]


def _is_float(x: Any) -> bool:
    return hasattr(x, "is_floating_point") and bool(x.is_floating_point() or x.is_complex())
