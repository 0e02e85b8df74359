"""The types that signatures use."""

import jax
import numpy as np

ArrayLike = jax.typing.ArrayLike
DTypeLike = jax.typing.DTypeLike | np.dtype
