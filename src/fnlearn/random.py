"""JAX keys by name, so that a parameter's random numbers depend on what it is called and not on when it is drawn."""

import zlib

import jax

__all__ = ["named"]


def named(key: jax.Array, name: str) -> jax.Array:
    """The key that belongs to a name: the same for the same pair, unrelated for any other name.

    Args: key: a typed key (`jax.random.key`). name: any text, such as a layer's attribute name.
    Returns: a typed key.
    Raises: TypeError when `key` is no typed key.
    Source: `jax.random.fold_in` of the name's CRC-32.
    """
    if not (hasattr(key, "dtype") and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise TypeError(f"key must be a typed key such as jax.random.key(0), got {type(key).__name__}: {key!r}")
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
