"""What a call of torch's is called, what it is given, and where it stands."""

import enum
import importlib.util
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.overrides import resolve_name
from torch.utils._mode_utils import no_dispatch

from fnlearn.port.errors import PortError
from fnlearn.port.graph import RECURRENT, Inst, Limit, Val, Where, mapped
from fnlearn.port.names import identifier

__all__ = [
    "DATA_DEPENDENT",
    "HERE",
    "NORM_ARGUMENTS",
    "NOT_THE_MODEL",
    "OF_SHAPE",
    "PASSED_OVER",
    "SHAPES",
    "SILENT",
    "TORCH",
    "TURNED",
    "UPDATES",
    "VALUES_NEEDED",
    "api_name",
    "bound",
    "changed_in",
    "chosen",
    "constant",
    "counted",
    "entered",
    "functional",
    "keep_numbers",
    "known_bounds",
    "leaves",
    "plain",
    "refuse_tensor",
    "rewrite",
    "running",
    "storage",
    "where",
]

TORCH = os.path.dirname(torch.__file__) + os.sep
HERE = os.path.dirname(__file__) + os.sep
NOT_THE_MODEL = (TORCH, HERE, "<frozen")  # how files begin whose code is no model's own
NOTATIONS = ("einops", "einx", "opt_einsum")  # libraries in which one call stands for a few of torch's
PASSED_OVER = (  # how files begin whose names and lines are none of the model's; ours end the search for one
    TORCH,
    "<frozen",
    *(
        os.path.dirname(spec.origin) + os.sep
        for spec in map(importlib.util.find_spec, NOTATIONS)
        if spec and spec.origin
    ),
)
PREFIXES = {
    "torch.nn.functional.": "F.",
    "torch._C._nn.": "F.",
    "torch._C.TensorBase.": "",
    "torch.Tensor.": "",
    "torch.functional.": "",
    "torch._C._linalg.": "linalg.",
    "torch._C._fft.": "fft.",
    "torch._C._special.": "special.",
    "torch.": "",
}


def api_name(func: Any) -> str:
    """The name of a function or method of torch's: `F.linear`, `add`, `linalg.norm`, `shape` for the attribute."""
    if func is torch.Tensor.where:  # whose condition is not the first argument, as that of torch.where is
        return "Tensor.where"
    name = resolve_name(func) or getattr(func, "__name__", str(func))
    for prefix, short in PREFIXES.items():
        if name.startswith(prefix):
            name = short + name.removeprefix(prefix)
            break
    return name.removesuffix(".__get__")


DATA_DEPENDENT = (DataDependentOutputException, DynamicOutputShapeException, GuardOnDataDependentSymNode)
SILENT = {"requires_grad_", "requires_grad.__set__", "retain_grad", "register_hook", "__set__", "is_nested"}
VALUES_NEEDED = {"item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "__array__", "nonzero"}
OF_SHAPE = ("squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze")  # in place they change no number
TURNED = {"add": "__radd__", "mul": "__rmul__"}  # to torch `1 + x` is `x + 1`
UPDATES = ("F.batch_norm", "F.instance_norm")
NORM_ARGUMENTS = ("input", "running_mean", "running_var", "weight", "bias")


def running(before: Any) -> bool:
    """Whether a normalisation was given running statistics."""
    given = dict(zip(NORM_ARGUMENTS, before[0], strict=False)) | before[1]
    return isinstance(given.get("running_mean"), Val) and given["running_mean"].kind != "constant"


FILLS = {"normal_": "fill_normal"}  # torch.normal takes other arguments


def functional(name: str) -> str:
    """The name without what says that it works in place."""
    if name in FILLS:
        return FILLS[name]
    if name.startswith("__i") and name.endswith("__") and name not in ("__invert__",):
        return "__" + name[3:]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def rewrite(inst: Inst, change: Callable[[Any], Any]) -> None:
    """Every constant and size of a call, and of the calls inside it, changed."""
    inst.args, inst.outs = mapped(change, inst.args), mapped(change, inst.outs)
    for call in inst.body:
        if isinstance(call, Inst):
            rewrite(call, change)
        else:
            call.args, call.kwargs = mapped(change, call.args), mapped(change, call.kwargs)


def known_bounds(structure: Any, place: Callable[[], str]) -> Any:
    """The structure with a number for each tensor that is the bound of a slice, which has to be known."""

    def number(bound: Any) -> Any:
        if not isinstance(bound, FakeTensor):
            return bound
        if bound.constant is None:
            raise PortError(f"{place()}: a slice's bound is a tensor's number, which a traced program has not")
        return int(bound.constant)

    return torch.utils._pytree.tree_map_only(
        slice, lambda part: slice(*map(number, (part.start, part.stop, part.step))), structure
    )


def constant(value: Any) -> torch.Tensor | None:
    """The numbers of a tensor that is made of the source's own alone, or None."""
    numbers: torch.Tensor | None = getattr(value, "constant", None)
    return numbers


def keep_numbers(mode: FakeTensorMode, fake: Any, tensor: torch.Tensor) -> None:
    """What a tensor's numbers are is known of the one that stands for it, until that is changed."""
    with no_dispatch():
        fake.constant = tensor.detach().clone()
    mode.fake_tensor_converter.add_constant_storage_mapping(fake)


def chosen(index: Any) -> Any:
    """The places that a mask of constants chooses, since how many they are is known."""
    mask = constant(index) if isinstance(index, FakeTensor) and index.dtype is torch.bool else None
    if mask is None or mask.ndim != 1:
        return index
    with no_dispatch():
        return mask.nonzero()[:, 0]


def changed_in(change: Callable[[Any], Any], structure: Any) -> Any:
    """The structure with its leaves changed; itself where none is: a module may write into what it is given."""
    same = all(change(leaf) is leaf for leaf in torch.utils._pytree.tree_leaves(structure))
    return structure if same else torch.utils._pytree.tree_map(change, structure)


def counted(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a call makes a number of parts that its arguments say; another number has too few names in the text."""
    if name in ("chunk", "unsafe_chunk"):
        return True
    given = [*args[1:2], *(kwargs[n] for n in ("split_size", "split_size_or_sections") if n in kwargs)]
    return name in ("split", "unsafe_split") and not isinstance(given[0], int)


def leaves(structure: Any) -> Iterator[Any]:
    """What is in a structure of mappings, lists and tuples, in order."""
    if isinstance(structure, Mapping):
        for part in structure.values():
            yield from leaves(part)
    elif isinstance(structure, list | tuple):
        for part in structure:
            yield from leaves(part)
    else:
        yield structure


def plain(value: Any) -> Any:
    """Numbers or a string of numpy's, of an enumeration or of a class of somebody's own, as Python's."""
    if isinstance(value, Limit):
        return value
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, range):
        return list(value)
    if isinstance(value, torch.nn.PairwiseDistance) and (value.norm, value.eps, value.keepdim) == (2.0, 1e-6, False):
        return None  # as `triplet_margin_with_distance_loss` has it
    kind = next((kind for kind in (bool, int, float, complex, str) if isinstance(value, kind)), type(value))
    return value if type(value) is kind else kind(value)


def bound(module: torch.nn.Module, args: Any, kwargs: Any) -> dict[str, Any]:
    """Arguments by the names of `forward`."""
    signature = inspect.signature(module.forward)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return {**{f"input_{i}": arg for i, arg in enumerate(args)}, **kwargs}
    bound.apply_defaults()
    given: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            given |= {f"{name}_{i}": part for i, part in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        else:
            given[name] = value
    if isinstance(module, torch.nn.Sequential) and list(given) == ["input"]:
        return {"x": given["input"]}
    return given


def entered(args: dict[str, Any]) -> dict[int, str]:
    """How each value that a model is given is written, by the value's id."""
    found: dict[int, str] = {}

    def enter(value: Any, text: str) -> None:
        if isinstance(value, Val):
            found.setdefault(id(value), text)
        elif isinstance(value, dict):
            for key, part in value.items():
                enter(part, f"{text}[{key!r}]")
        elif isinstance(value, list | tuple):
            for i, part in enumerate(value):
                enter(part, f"{text}[{i}]")

    for name, value in args.items():
        enter(value, identifier(name))
    return found


def where(frame: FrameType | None) -> Where:
    """The place that a frame is at."""
    if frame is None:
        return Where()
    return Where(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def storage(tensor: torch.Tensor) -> int:
    """Which memory a tensor's numbers are in."""
    return tensor.untyped_storage()._cdata


def refuse_tensor(tensor: torch.Tensor, what: str) -> None:
    """An error for a tensor that can't be ported."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        kind = "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
        raise PortError(f"{what} is a {kind} tensor; use a dense one of a floating or integer dtype")
    if tensor.device.type != "cpu":
        raise PortError(f"{what} is on {tensor.device}; move the model and its inputs to the CPU first: model.cpu()")


def _recurrent(x: Any, state: Any, *given: Any, **_: Any) -> tuple[torch.Tensor, ...]:
    """What a recurrent network returns, by its shapes alone: torch's own function wants to know the batch's size."""
    bidirectional = given[5]
    states = state if isinstance(state, tuple | list) else (state,)
    out = x.new_empty((*x.shape[:-1], states[0].shape[-1] * (1 + bidirectional)))
    return out, *(torch.empty_like(part) for part in states)


def _grouped_mm(a: Any, b: Any, offs: Any = None, bias: Any = None, out_dtype: Any = None) -> torch.Tensor:
    """What a product of groups returns: torch's own function of shapes takes bfloat16 alone."""
    groups = (a if offs is None else offs).shape[:1] if a.ndim == b.ndim else ()
    empty: torch.Tensor = a.new_empty((*groups, a.shape[-2], b.shape[-1]), dtype=out_dtype)
    return empty


def _pooled(pool: Callable[..., Any], dims: int) -> Callable[..., Any]:
    """A pooling whose window may follow from a size, as in `avg_pool2d(x, x.shape[2:])`: torch's wants numbers."""

    def each(value: Any) -> list[Any]:
        given = list(value) if isinstance(value, tuple | list) else [value]
        return given * dims if len(given) == 1 else given

    def pooled(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *more: Any, **options: Any) -> Any:
        window, steps = each(kernel_size), each(kernel_size if stride is None else stride)
        plain = not any(isinstance(size, torch.SymInt) for size in (*window, *steps))
        others = {**options, "dilation": options.get("dilation", 1) != 1}
        if plain or more or any(others.get(name) for name in ("dilation", "ceil_mode", "return_indices")):
            return pool(input, kernel_size, stride, padding, *more, **options)
        sizes = zip(input.shape[-dims:], window, steps, each(padding), strict=True)
        return input.new_empty((*input.shape[:-dims], *((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)))

    return pooled


def _spaced(made: Callable[..., Any]) -> Callable[..., Any]:
    """Numbers at equal distances, as many as a size says: torch's function wants a number."""

    def spaced(start: Any, end: Any, steps: Any, *more: Any, dtype: Any = None, **options: Any) -> Any:
        if not any(isinstance(given, torch.SymInt | torch.SymFloat) for given in (start, end, steps)):
            return made(start, end, steps, *more, dtype=dtype, **options)
        return torch.empty(steps, dtype=dtype)

    return spaced


SHAPES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(RECURRENT, _recurrent),
    **{
        f"F.{kind}_pool{n}d": _pooled(getattr(torch.nn.functional, f"{kind}_pool{n}d"), n)
        for kind in ("avg", "max")
        for n in (1, 2, 3)
    },
    **{name: _spaced(getattr(torch, name)) for name in ("linspace", "logspace")},
    "_grouped_mm": _grouped_mm,
}
