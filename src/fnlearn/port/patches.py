"""What of torch behaves otherwise while a model is recorded."""

import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import sympy  # type: ignore[import-untyped]
import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensor

from fnlearn.port.calls import NOT_THE_MODEL
from fnlearn.port.dtypes import limits
from fnlearn.port.errors import PortError

__all__ = ["MOST_CONSTANT", "patched"]

MOST_CONSTANT = 1024  # numbers of a tensor of constants that are known while a model is recorded
SIMPLIFY = sympy.simplify


def _distributed(quotient: Any) -> Any:
    """In the place of sympy's `simplify`, which torch calls for quotients of sizes and which can take minutes."""
    made = sympy.expand_mul(quotient, deep=False)
    whole = not any(power.exp.is_negative for power in made.atoms(sympy.Pow))
    return made if whole else SIMPLIFY(quotient)


LEGACY = {
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
    "HalfTensor": torch.float16,
    "LongTensor": torch.int64,
    "IntTensor": torch.int32,
    "BoolTensor": torch.bool,
}


def _constructor(name: str) -> Any:
    """A constructor of old, `torch.FloatTensor([0.5])`, which no mode of torch's can see, as `torch.tensor` does it."""
    original = getattr(torch, name)

    class Kind(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, original)

        def __call__(cls, *given: Any, **options: Any) -> Any:
            if len(given) == 1 and isinstance(given[0], list | tuple | np.ndarray):
                return torch.tensor(given[0], dtype=LEGACY[name])
            return original(*given, **options)

    return Kind(name, (), {})


@contextmanager
def patched(recorder: Any) -> Iterator[None]:
    """Module calls are recorded; what has a derivative of its own is refused; checkpoints are plain calls."""
    original, length = torch.nn.Module.__call__, builtins.len
    apply = vars(torch.autograd.Function)["apply"]  # with what makes it a method of classes

    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        return recorder.call(original, module, args, kwargs)

    def refused(cls: type, *args: Any, **kwargs: Any) -> Any:
        if recorder.inside:
            return apply.__get__(None, cls)(*args, **kwargs)
        said = (
            "an autograd function with a derivative of its own; write it with jax.custom_vjp, or use plain operations"
        )
        raise recorder.refusal(PortError(f"{recorder.place()}: {cls.__name__} is {said}"))

    def plainly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        own = ("use_reentrant", "context_fn", "determinism_check", "debug", "preserve_rng_state", "early_stop")
        return function(*args, **{key: value for key, value in kwargs.items() if key not in own})

    def sized(value: Any) -> Any:  # len() returns nothing but a number; what a tensor has may be a symbol
        return value.shape[0] if isinstance(value, FakeTensor) and value.ndim else length(value)

    def hinted(mask: Any, is_causal: bool | None = None, size: int | None = None) -> bool:
        return is_causal is True  # torch compares the mask's numbers; the mask is used in either case

    def unnested(*_: Any) -> bool:  # torch may leave out what is padding, if its mask's numbers say that it can
        return False

    def of_dtype(*given: Any) -> Any:  # a number that follows from a dtype is written so
        frame = sys._getframe(1)
        if frame.f_code.co_filename.startswith(NOT_THE_MODEL):
            return finfo(*given)
        found = finfo(*given)
        said = recorder.dtypes.named(frame, {getattr(torch, found.dtype)})
        return limits(found, not given or said.get("dtype_of") is True)

    def unscripted(function: Any, *args: Any, **kwargs: Any) -> Any:  # what was scripted, as the Python that it was
        return function._torchdynamo_inline(*args, **kwargs)

    def differentiated(*_: Any, **__: Any) -> Any:
        said = (
            "a derivative that the model itself works out is not ported; port what is differentiated, and use jax.grad"
        )
        raise recorder.refusal(PortError(f"{recorder.place()}: {said}"))

    finfo, onednn = torch.finfo, torch._C._get_mkldnn_enabled()
    replaced: list[tuple[Any, str, Any]] = [
        (torch.nn.Module, "__call__", call),
        (torch.autograd.Function, "apply", classmethod(refused)),
        (torch.autograd, "grad", differentiated),
        (torch.utils.checkpoint, "checkpoint", plainly),
        (torch.jit.ScriptFunction, "__call__", unscripted),
        (torch.nn.modules.transformer, "_detect_is_causal_mask", hinted),
        (torch, "_nested_tensor_from_mask_left_aligned", unnested),
        (torch.distributions.Distribution, "_validate_args", False),  # it looks at numbers
        (torch, "finfo", of_dtype),
        (fake_tensor, "CONSTANT_NUMEL_LIMIT", MOST_CONSTANT),
        *((torch, name, _constructor(name)) for name in LEGACY),
        (sympy, "simplify", _distributed),
        (builtins, "len", sized),
    ]
    with ExitStack() as stack:
        stack.enter_context(torch.backends.opt_einsum.flags(enabled=False))  # it looks for an order by the sizes
        stack.callback(torch._C._set_mkldnn_enabled, onednn)
        torch._C._set_mkldnn_enabled(False)  # its recurrent networks want to know how many numbers there are
        for owner, name, other in replaced:
            stack.enter_context(mock.patch.object(owner, name, other))
        yield
