"""How values, types and operations are written in the graph's text and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SHORT_DTYPES = {"float": "f", "bfloat": "bf", "int": "i", "uint": "u", "complex": "c"}
INFIX = {
    "add": "+",
    "add_any": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "pow": "**",
    "rem": "%",
    "gt": ">",
    "ge": ">=",
    "lt": "<",
    "le": "<=",
    "eq": "==",
    "ne": "!=",
    "and": "&",
    "or": "|",
    "xor": "^",
}
# The parameters without which an operation cannot be understood; the rest is the compiler's business.
TELLING = ("axes", "axis", "dimension", "dimensions", "permutation", "shape", "new_dtype", "start_indices", "length")
SHOWN_ELEMENTS = 6


def is_differentiable(value: Any) -> bool:
    """Whether a derivative can be taken with respect to the value: floating-point, or complex."""
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


def is_real_scalar(value: Any) -> bool:
    """Whether the value is one real floating-point number."""
    return value.shape == () and bool(jnp.issubdtype(value.dtype, jnp.floating))


def shape_text(shape: Sequence[int]) -> str:
    """`[8,6]` for the shape `(8, 6)`, and `[]` for a scalar."""
    return "[" + ",".join(map(str, shape)) + "]"


def dtype_text(dtype: Any) -> str:
    """`f32` for `float32`, as jaxprs write it."""
    name = str(dtype)
    letters = name.rstrip("0123456789")
    return SHORT_DTYPES.get(letters, letters) + name[len(letters) :]


def type_text(value: Any) -> str:
    """`f32[8,6]`: the element type and the shape."""
    return dtype_text(value.dtype) + shape_text(value.shape)


def number_text(number: Any) -> str:
    """A number with six significant digits, `6` rather than `6.0`."""
    if isinstance(number, complex | np.complexfloating):
        return f"{complex(number):.6g}"
    return f"{float(number) + 0.0:.6g}"  # + 0.0 turns -0 into 0


def value_text(value: Any) -> str:
    """The number itself, a short vector's numbers, or the type and the norm of a larger array."""
    if jnp.issubdtype(value.dtype, jax.dtypes.extended):  # random keys have no numbers to show
        return type_text(value)
    array = np.asarray(value)
    if array.dtype == bool and array.ndim == 0:
        return str(bool(array))
    if array.ndim == 0:
        return number_text(array[()])
    if array.ndim == 1 and array.size <= SHOWN_ELEMENTS:
        return "[" + ", ".join(number_text(element) for element in array) + "]"
    if not is_differentiable(array) or array.size == 0:
        return type_text(array)
    norm = np.linalg.norm(array.astype(np.complex128 if np.iscomplexobj(array) else np.float64))
    return f"{type_text(array)} of norm {norm:.6g}"


def constant_text(value: Any) -> str:
    """A constant operand: its number, or its type where it is an array."""
    return value_text(value) if value.shape == () else type_text(value)


def operation_text(operation: str, operands: Sequence[str], params: Mapping[str, Any]) -> str:
    """The operation as a person writes it: `a + b`, `b ** 2`, `tanh(c)`, `reduce_sum(d, axes=(0,))`."""
    if operation in INFIX and len(operands) == 2:
        return f"{operands[0]} {INFIX[operation]} {operands[1]}"
    if operation == "neg":
        return f"-{operands[0]}"
    if operation == "integer_pow":
        return f"{operands[0]} ** {params['y']}"
    if operation == "dot_general" and _is_matmul(params):
        return f"{operands[0]} @ {operands[1]}"
    telling = [f"{name}={_parameter_text(params[name])}" for name in TELLING if params.get(name) is not None]
    return f"{operation}({', '.join([*operands, *telling])})"


def _is_matmul(params: Mapping[str, Any]) -> bool:
    (left, right), (batch, _) = params["dimension_numbers"]
    return not batch and len(left) == 1 and tuple(right) == (0,)


def _parameter_text(parameter: Any) -> str:
    if isinstance(parameter, tuple):
        return shape_text(parameter) if all(isinstance(item, int) for item in parameter) else "…"
    return dtype_text(parameter)
