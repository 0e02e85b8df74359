"""Keys for several draws out of one."""

import jax

__all__ = ["split_key"]


def split_key(key: jax.Array | None, num: int = 2) -> list[jax.Array | None]:
    """Independent keys, each for one draw; None for each where there is no key, as in evaluation.

    Torch: `torch.Generator`.
    Shape: key () → num keys.
    Args: key: a key, or None. num: how many, at least 1.
    Raises: ValueError when num is below 1.
    Differs: torch's one generator moves on with every draw.
    Source: `jax.random.split`.
    """
    if num < 1:
        raise ValueError(f"num must be at least 1, got {num}")
    return [None] * num if key is None else list(jax.random.split(key, num))
