"""What of torch behaves otherwise while a model is recorded."""

import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sympy  # type: ignore[import-untyped]
import torch
from torch._subclasses.fake_tensor import FakeTensor

from fnlearn.port.calls import NOT_THE_MODEL
from fnlearn.port.dtypes import limits
from fnlearn.port.errors import PortError

__all__ = ["patched"]

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
    checkpoint = torch.utils.checkpoint.checkpoint

    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        return recorder.call(original, module, args, kwargs)

    def refused(cls: type, *args: Any, **kwargs: Any) -> Any:
        if recorder.inside:
            return apply.__get__(None, cls)(*args, **kwargs)
        raise PortError(
            f"{recorder.place()}: {cls.__name__} is an autograd function with a "
            "derivative of its own; write it with jax.custom_vjp, or use plain operations"
        )

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
        return limits(finfo(*given), not given or recorder.dtypes.named(frame).get("dtype_of") is True)

    def unscripted(function: Any, *args: Any, **kwargs: Any) -> Any:  # what was scripted, as the Python that it was
        return function._torchdynamo_inline(*args, **kwargs)

    scripted = torch.jit.ScriptFunction.__call__
    torch.jit.ScriptFunction.__call__ = unscripted  # type: ignore[method-assign,assignment]

    def differentiated(*_: Any, **__: Any) -> Any:
        raise PortError(
            f"{recorder.place()}: a derivative that the model itself works out is not ported; port what is "
            "differentiated, and use jax.grad"
        )

    legacy = {name: getattr(torch, name) for name in LEGACY}
    vars(torch).update({name: _constructor(name) for name in LEGACY})
    contracting = torch.backends.opt_einsum.enabled
    torch.backends.opt_einsum.enabled = False  # it looks for the best order by the sizes
    derivatives = torch.autograd.grad
    torch.autograd.grad = differentiated
    distribution = torch.distributions.Distribution
    validates = distribution._validate_args
    distribution.set_default_validate_args(False)  # it looks at numbers
    finfo = torch.finfo
    aligned = torch._nested_tensor_from_mask_left_aligned
    torch._nested_tensor_from_mask_left_aligned = unnested  # type: ignore[assignment]
    transformer = torch.nn.modules.transformer
    detect = transformer._detect_is_causal_mask
    transformer._detect_is_causal_mask = hinted
    onednn = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)  # its recurrent networks want to know how many numbers there are
    torch.finfo = of_dtype  # type: ignore[assignment,misc]
    sympy.simplify = _distributed
    builtins.len = sized
    torch.nn.Module.__call__ = call  # type: ignore[method-assign]
    torch.autograd.Function.apply = classmethod(refused)  # type: ignore[method-assign,assignment]
    torch.utils.checkpoint.checkpoint = plainly
    try:
        yield
    finally:
        vars(torch).update(legacy)
        torch.backends.opt_einsum.enabled = contracting
        torch.autograd.grad = derivatives
        distribution.set_default_validate_args(validates)
        torch.jit.ScriptFunction.__call__ = scripted  # type: ignore[method-assign]
        torch.finfo = finfo  # type: ignore[misc]
        sympy.simplify = SIMPLIFY
        builtins.len = length
        torch._nested_tensor_from_mask_left_aligned = aligned
        torch._C._set_mkldnn_enabled(onednn)
        transformer._detect_is_causal_mask = detect
        torch.nn.Module.__call__ = original  # type: ignore[method-assign]
        torch.autograd.Function.apply = apply  # type: ignore[method-assign]
        torch.utils.checkpoint.checkpoint = checkpoint
