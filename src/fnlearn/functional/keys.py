"""Keys for several draws out of one."""

import jax

__all__ = ["split_key"]


def split_key(key: jax.Array | None, num: int = 2) -> list[jax.Array | None]:
    """Independent keys, each for one draw; None where there is none, as in evaluation.

    Args: key: a key, or None. num: how many.
    """
    return [None] * num if key is None else list(jax.random.split(key, num))
