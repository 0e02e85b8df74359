"""Normalisations that keep running statistics, which torch changes out of sight."""

from collections.abc import Callable
from typing import Any

from fnlearn.port.calls import NORM_ARGUMENTS
from fnlearn.port.graph import Val, Where

__all__ = ["call", "updated"]


def call(recorder: Any, original: Callable[..., Any], module: Any, args: Any, kwargs: Any, where: Where) -> Any:
    """A normalisation that keeps running statistics: torch changes them out of sight."""
    names = ("running_mean", "running_var", "num_batches_tracked")
    old = [recorder.val(getattr(module, name), where) for name in names]
    x = recorder.val(args[0] if args else next(iter(kwargs.values())), where)
    weight, bias = (None if p is None else recorder.val(p, where) for p in (module.weight, module.bias))
    momentum: Any = module.momentum
    recorder.quiet += 1
    module.momentum = 0.1  # without one torch looks at the number of batches
    out = original(module, *args, **kwargs)
    module.momentum = momentum
    recorder.quiet -= 1
    inst, new = recorder.stack[-1], [Val(val.shape, val.dtype) for val in old]
    if module.momentum is None:
        momentum = Val((), "float32")
    if "Batch" in type(module).__name__:
        counted = recorder.op("add", (old[2], module.training), {}, new[2], where)
    else:
        counted = recorder.op("alias", (old[2],), {}, new[2], where)
    inst.body.append(counted)
    if module.momentum is None:
        inst.body.append(recorder.op("reciprocal", (new[2],), {}, momentum, where))
    kind = "batch_norm_update" if "Batch" in type(module).__name__ else "instance_norm_update"
    arguments = (x, old[0], old[1], weight, bias, module.training, momentum, module.eps)
    inst.body.append(recorder.op(f"F.{kind}", arguments, {}, (recorder.bind(out), new[0], new[1]), where))
    for name, before, val in zip(names, old, new, strict=True):
        recorder.vals[id(getattr(module, name))] = val
        recorder.write(before.path, val)
    return out


def updated(recorder: Any, name: str, before: Any, out: Any, args: Any, kwargs: Any, where: Where) -> Any:
    """A normalisation called as a function, which changes the running statistics it is given."""
    given = dict(zip(NORM_ARGUMENTS, args, strict=False)) | kwargs
    frozen = dict(zip(NORM_ARGUMENTS, before[0], strict=False)) | before[1]
    new = [Val(frozen[n].shape, frozen[n].dtype) for n in ("running_mean", "running_var")]
    recorder.every += new
    op = recorder.op(f"{name}_update", (), frozen, (recorder.bind(out), *new), where)
    recorder.stack[-1].body.append(op)
    for n, val in zip(("running_mean", "running_var"), new, strict=True):
        recorder.vals[id(given[n])] = val
        if frozen[n].path:
            recorder.write(frozen[n].path, val)
    return out
