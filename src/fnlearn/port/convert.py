"""From a torch module to JAX source, and the source as a module that runs."""

import copy
import dataclasses
import itertools
import math
import os
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import torch

from fnlearn import equivalence, tree
from fnlearn.equivalence import torch_side
from fnlearn.equivalence.prepared import copied
from fnlearn.port.capture import trace
from fnlearn.port.drawing import needs_key
from fnlearn.port.errors import PortError
from fnlearn.port.graph import Inst, Sym, Val, values
from fnlearn.port.integers import kept
from fnlearn.port.interop import Ported, weights_of
from fnlearn.port.merge import merge
from fnlearn.port.ones import Places, same_at_one, taking_one
from fnlearn.port.program import formatted, imported, literal, program
from fnlearn.port.save import save
from fnlearn.port.scan import LEAST
from fnlearn.port.sizes import Condition
from fnlearn.port.standalone import with_functions
from fnlearn.port.traced import Trace
from fnlearn.port.training import Loss, Training, training

__all__ = ["Port", "convert"]


@dataclass(frozen=True)
class Port:
    """A model as JAX source, with its weights.

    Args: source: the text. params, buffers: nested dicts of arrays whose joined keys are the state_dict's. module: the
        text, imported. original, inputs: what it was ported from. no_training: why the model can't be in training mode;
        empty where it can. stacked: the containers of equal blocks that the text loops over and `pack` stacks.
        training: the text of train.py, imported, and the optimizer's state; None where it was not asked for.
    Raises: nothing.
    """

    source: str
    params: dict[str, Any]
    buffers: dict[str, Any]
    module: ModuleType
    original: torch.nn.Module
    inputs: equivalence.Inputs
    no_training: str = ""
    stacked: tuple[str, ...] = ()
    training: Training | None = None

    @property
    def apply(self) -> Any:
        """The function of the text: (params, buffers, *inputs, train=False, key=None) → (outputs, buffers)."""
        return self.module.apply

    def pack(self, params: Any) -> Any:
        """Parameters with the equal blocks of each loop in one array: what compiles and runs fastest.

        Args: params: a tree like `params`, of arrays; a gradient, say, or an optimizer's averages.
        Returns: the tree with {"stacked": blocks} in place of {"0": block, "1": block, …}, which `apply` takes too.
        Raises: ValueError when the blocks are not there or not equal.
        """
        return tree.stack_layers(params, self.stacked)

    def unpack(self, params: Any) -> Any:
        """Parameters by torch's names again.

        Args: params: what `pack` returned, or a tree like it.
        Returns: the tree as it was before.
        Raises: nothing.
        """
        return tree.unstack_layers(params)

    def load(self, path: str | os.PathLike[str]) -> "Port":
        """The port with the weights of a checkpoint, by their names.

        Args: path: a file as `tree.load` takes it, or a folder of .safetensors files, as models are published.
        Returns: another port; tied weights may be saved under any of their names.
        Raises: ValueError that lists every missing, unexpected and wrongly shaped name; OSError when it can't be read.
        """
        params, buffers = weights_of(path, self.original, self.params, self.buffers)
        original = torch_side.loaded(copied(self.original), tree.merge(params, buffers))
        return dataclasses.replace(self, params=params, buffers=buffers, original=original, training=None)

    def to_nnx(self) -> Ported:
        """A flax `nnx` module over the same function.

        Args: none.
        Returns: a module, called with the model's inputs, `train` and `key`; its parameters are `nnx.Param`, its
            buffers `nnx.BatchStat`, at params and buffers by torch's names.
        Raises: nothing.
        """
        return Ported(self.apply, self.params, self.buffers)

    def save(self, directory: str | os.PathLike[str], *, made_by: str | None = None) -> list[equivalence.Answer]:
        """Write model.py, weights.safetensors, test_equivalence.py, golden.safetensors and README.md, and prove them.

        Args: directory: the folder to be; it must not be there, or be empty. made_by: what makes the torch module
            without arguments, `path.py:name` or `package.module:name`, for the test to ask it itself; its class when
            left out, if that makes the same model.
        Returns: the answers of `fnlearn.equivalence` to whether it is the same model, which README.md reports too.
        Raises: FileExistsError when the folder holds something; OSError when it can't be written. Nothing half-written
            is left behind.
        """
        return save(directory, self, made_by)


def convert(
    module: torch.nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: bool | Mapping[int, str] = True,
    scan: bool | None = None,
    standalone: bool = False,
    loss: Callable[..., Any] | None = None,
    targets: tuple[Any, ...] = (),
    optimizer: torch.optim.Optimizer | None = None,
    scheduler: Any = None,
) -> Port:
    """JAX source for a torch module, written from what it does with example inputs.

    Args: module: the model, on the CPU; it stays as it is. args, kwargs: inputs for `forward`, tensors and plain
        values. dynamic_shapes: whether the sizes of the inputs may be others later; without it they are constants. Or
        which dimensions of all inputs may be, with a name for each: {0: "batch"}. scan: whether runs of equal blocks
        become one loop, which compiles once; from eight blocks on when left out. standalone: whether the functions of
        `fnlearn.functional` that the source uses are written into it, so that it needs JAX alone. loss: (out, *targets)
        → number, a function or module of torch's; with an optimizer, training is ported too. targets: an example of
        them. optimizer, scheduler: torch's, as they are now, half-way through a run for example. A scheduler is stepped
        with every update, or with every nth where the optimizer's own count says so.
    Returns: the source, the weights, and the function, see `Port`.
    Raises: PortError that names the place and what to change, for what can't be ported.
    """
    made = _ported(module, args, kwargs, dynamic_shapes, scan)
    if standalone:
        source = formatted(with_functions(made.source))
        made = dataclasses.replace(made, source=source, module=imported(source, "model"))
    if loss is None and optimizer is None:
        return made
    if loss is None or optimizer is None:
        raise PortError("loss and optimizer go together: convert(model, args, loss=…, targets=…, optimizer=…)")
    if made.no_training:
        raise PortError(f"the model can't be trained: {made.no_training}")
    with torch.no_grad():
        out = copied(module).eval()(*made.inputs.args, **made.inputs.kwargs)
    of_loss = _ported(Loss(loss), (out, *targets), None, dynamic_shapes, False)
    return dataclasses.replace(made, training=training(of_loss.source, made, loss, targets, optimizer, scheduler))


def _ported(module: torch.nn.Module, args: Any, kwargs: Any, dynamic_shapes: Any, scan: bool | None) -> Port:
    given = args if isinstance(args, tuple) else (args,)
    tries: list[Container[int]] = [range(99), range(1)] if dynamic_shapes is True else []
    if isinstance(dynamic_shapes, Mapping):
        tries = [dynamic_shapes.keys()]
    example = _Example(module, given, dict(kwargs or {}))
    example.run()
    train, evaluation, reason = _traced(example, [*tries, ()])
    drawing = _drawing(train, evaluation)
    root = merge(train.root, evaluation.root) if train is not evaluation else evaluation.root
    sizes = evaluation.sizes | train.sizes
    if isinstance(dynamic_shapes, Mapping):
        sizes = _named_sizes(root, dynamic_shapes) | sizes
    least = LEAST if scan is None else 2 if scan else math.inf
    source, stacked = program(
        root,
        evaluation,
        sizes,
        train.expressions | evaluation.expressions,
        train.defined | evaluation.defined,
        _conditions(train, evaluation),
        least,
        reason,
        drawing,
    )
    inputs = equivalence.Inputs(example.args, example.kwargs)
    return Port(source, *_weights(evaluation), imported(source, "model"), module, inputs, reason, stacked)


@dataclass(frozen=True)
class _Example:
    """A model, and what it is called with. converting: what is known of its code that makes numbers of symbols."""

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    converting: dict[int, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> None:
        """What functions of the model cache are numbers then; what they would cache in a recording is of no use."""
        with suppress(Exception), torch.no_grad(), torch.random.fork_rng(devices=[]):
            args, kwargs = copy.deepcopy((self.args, self.kwargs))
            copied(self.module).eval()(*args, **kwargs)

    def recorded(self, train: bool, dims: Container[int], raised: Container[int]) -> Trace:
        """One mode; dims: which dimensions are symbols; raised: in which of them a size of one is run as one of two."""
        return kept(partial(trace, self.module, self.args, self.kwargs, train, dims, raised), self.converting)

    def ones(self, dims: Container[int], among: Container[int]) -> Places:
        """Where the inputs have a size of one, among some of the dimensions that are symbols."""
        inputs = [x for x in torch.utils._pytree.tree_leaves((self.args, self.kwargs)) if torch.is_tensor(x)]
        places = ((i, dim) for i, x in enumerate(inputs) for dim, size in enumerate(x.shape) if size == 1)
        return frozenset((i, dim) for i, dim in places if dim in dims and dim in among)

    def narrowed(self, places: Places) -> "_Example":
        """The same with a size of one in some places."""
        counted = itertools.count()

        def narrow(x: Any) -> Any:
            i = next(counted) if isinstance(x, torch.Tensor) else -1
            for _, dim in (place for place in places if place[0] == i):
                x = x.narrow(dim, 0, 1)
            return x

        args, kwargs = torch.utils._pytree.tree_map(narrow, (self.args, self.kwargs))
        return _Example(self.module, args, kwargs, self.converting)


Modes = tuple[Trace, Trace, str]  # training, evaluation, and why there is no training where there is none


def _traced(example: _Example, dynamic: list[Container[int]]) -> Modes:
    """The two modes, with as many symbolic sizes as torch's own functions stand."""
    for dims in dynamic:
        try:
            traces = _modes(example, dims, ())
        except PortError:
            raise
        except Exception:  # torch says by many kinds of error that a function of its own needs a number
            if dims is dynamic[-1]:
                raise
            continue
        every, first = example.ones(dims, dims), example.ones(dims, (0,))
        tries = {every: dims, first: (0,)}  # every size of one, or else that of the batch
        for ones, raised in tries.items():
            if more := _with_more(example, dims, traces, raised, ones) if ones else None:
                return _with_ones(example, dims, more, raised, ones)
        return _with_ones(example, dims, traces, (), frozenset())
    raise AssertionError("dynamic is not empty")


def _modes(example: _Example, dims: Container[int], raised: Container[int]) -> Modes:
    evaluation = example.recorded(False, dims, raised)
    try:
        return example.recorded(True, dims, raised), evaluation, ""
    except PortError as error:
        return evaluation, evaluation, str(error)
    except Exception as error:  # what can't be ported may show only where sizes are numbers
        try:
            example.recorded(True, (), ())
        except PortError as refused:
            return evaluation, evaluation, str(refused)
        except Exception:  # torch itself takes no such input in training
            return evaluation, evaluation, f"torch says in training: {type(error).__name__}: {error}"
        raise


def _with_more(
    example: _Example, dims: Container[int], plain: Modes, raised: Container[int], ones: Places
) -> Modes | None:
    """The traces with symbols for some sizes of one, if they are those of the example but for that."""
    try:
        train, evaluation, reason = _modes(example, dims, raised)
    except Exception:  # such a model takes a size of one alone
        return None
    same = same_at_one(train, plain[0], ones) and same_at_one(evaluation, plain[1], ones)
    return (train, evaluation, reason) if same and reason == plain[2] else None


def _with_ones(example: _Example, dims: Container[int], traces: Modes, raised: Container[int], given: Places) -> Modes:
    """The traces, which refuse a size of one only where it makes another program."""

    def taking(traced: Trace, train: bool) -> Trace:
        def record(ones: Places) -> Trace:
            return example.narrowed(ones).recorded(train, dims, () if given <= ones else raised)

        return taking_one(traced, record, given)

    train, evaluation, reason = traces
    found = taking(evaluation, False)
    return (found if train is evaluation else taking(train, True)), found, reason


def _conditions(train: Trace, evaluation: Trace) -> dict[Condition, str]:
    """What inputs are refused for, and in which mode: text before the condition, where it is in one alone."""
    found = dict.fromkeys(
        [*evaluation.constants, *evaluation.conditions], "" if train is evaluation else "not train and "
    )
    found |= {c: "" if c in found else "train and " for c in [*train.constants, *train.conditions]}
    return found


def _drawing(train: Trace, evaluation: Trace) -> str | None:
    """The mode in which the model draws, as text before a condition; None where it draws in neither."""
    modes = needs_key(train.root), needs_key(evaluation.root)
    return {(True, True): "", (True, False): "train and ", (False, True): "not train and "}.get(modes)


def _named_sizes(root: Inst, names: Mapping[int, str]) -> dict[tuple[int, str], str]:
    """The names that were asked for, where the model's function has none of its own."""
    symbols = [(size.text, i) for val in values(root.args) if isinstance(val, Val) for i, size in enumerate(val.shape)
               if isinstance(size, Sym) and i in names]  # fmt: skip
    return {(scope, symbol): names[i] for symbol, i in symbols for scope in (root.scopes or (id(root),))}


def _weights(traced: Trace) -> tuple[dict[str, Any], dict[str, Any]]:
    params: dict[str, Any] = {}
    buffers: dict[str, Any] = {}
    for path, (kind, tensor) in traced.held.items():
        if literal(kind, tensor):
            continue
        array = jnp.asarray(tree.as_numpy(tensor))
        (params if kind == "param" else buffers)[path] = array
    return tree.unflatten(params), tree.unflatten(buffers)
