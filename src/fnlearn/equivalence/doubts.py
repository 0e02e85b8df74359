"""What makes a comparison with a torch module doubtful."""

from typing import Any

from fnlearn.equivalence.asked import has_x64

__all__ = ["dropout", "modes", "precision"]


def precision(module: Any) -> list[str]:
    """Whether both sides compute as exactly."""
    import torch

    dtypes = {str(p.dtype).removeprefix("torch.") for p in module.parameters() if p.is_floating_point()}
    found = []
    if "float64" in dtypes and not has_x64():
        found.append("the module is float64, but JAX's x64 is off: set jax_enable_x64, or its arrays become float32")
    if len(dtypes) > 1:
        found.append(f"the module's parameters have several dtypes: {sorted(dtypes)}")
    if (precision := torch.get_float32_matmul_precision()) != "highest":
        found.append(
            f"torch multiplies float32 with less precision: torch.get_float32_matmul_precision() is {precision}"
        )
    if any(p.is_cuda for p in module.parameters()) and torch.backends.cudnn.allow_tf32:
        found.append("torch convolves in TF32: set torch.backends.cudnn.allow_tf32 = False")
    return found


def modes(module: Any) -> list[str]:
    """Whether all of a module is in one mode."""
    modes = {name: part.training for name, part in module.named_modules()}
    other = [name for name, training in modes.items() if training != module.training]
    state = "in training" if module.training else "in evaluation"
    return [f"the module is {state}, but parts of it are not: {', '.join(other)}"] if other else []


def dropout(module: Any) -> list[str]:
    """What of a module drops numbers in training."""
    found = []
    for name, part in module.named_modules():
        p = getattr(part, "p", None) if "Dropout" in type(part).__name__ else getattr(part, "dropout", None)
        if isinstance(p, int | float) and not isinstance(p, bool) and p > 0:
            found.append(f"{name or type(part).__name__} drops numbers in training, p = {p}")
    return found
