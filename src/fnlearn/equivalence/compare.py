"""Two trees of arrays, leaf by leaf: how far apart they are, and whether that is OK.

The verdict needs no tolerance picked by hand. Rounding makes PyTorch itself wrong by some amount, which its float64
answer shows; JAX passes when it is wrong by no more than `YARDSTICK` times as much, or when both agree within the
tolerance of `torch.testing.assert_close` for their dtype.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np

from fnlearn.tree import as_numpy

YARDSTICK = 2.0  # what torch._dynamo.utils.same allows is 2 to 3 times; the stricter end

# relative and absolute tolerance of torch.testing.assert_close by dtype; integers and bools must be equal
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}


class Leaf(NamedTuple):
    """What is known about one pair of arrays.

    Args: name: joined keys. shape, dtype: of the JAX side. max_abs: largest |JAX − PyTorch|. max_rel: the same over
        |PyTorch|. ulp: the same in units in the last place of the dtype. torch_error, jax_error: largest distance to
        the float64 answer, NaN where none was given. ratio: jax_error / torch_error. verdict: "equal", "close" (within
        the tolerance), "yardstick" (as near to float64 as PyTorch), "differs", or what else is wrong.
    Source: the rule of `torch._dynamo.utils.same`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    max_abs: float
    max_rel: float
    ulp: float
    torch_error: float
    jax_error: float
    ratio: float
    verdict: str

    @property
    def ok(self) -> bool:
        """Whether the two are the same for all that rounding allows."""
        return self.verdict in ("equal", "close", "yardstick")


def compare(
    torch_tree: Any, jax_tree: Any, float64: Any = None, *, rtol: float | None = None, atol: float | None = None
) -> list[Leaf]:
    """Compare two trees of arrays leaf by leaf.

    Args: torch_tree: the reference: a tree of tensors, arrays or numbers. jax_tree: the same tree from JAX. float64:
        the reference computed in float64, the yardstick; without it only the tolerance counts. rtol, atol: the
        tolerance instead of `torch.testing.assert_close`'s; one alone leaves the other 0.
    Returns: a record for each leaf, in the reference's order.
    Raises: ValueError when the trees don't have the same leaves; it lists every missing and unexpected name.
    Source: `torch.testing.assert_close`; the yardstick is `torch._dynamo.utils.same`'s.
    """
    expected, actual = _leaves(torch_tree), _leaves(jax_tree)
    wide = {} if float64 is None else _leaves(float64)
    _same_names("the JAX side", expected, actual)
    if float64 is not None:
        _same_names("the float64 side", expected, wide)
    if rtol is None and atol is None:
        tolerance = None
    else:
        tolerance = (rtol or 0.0, atol or 0.0)
    return [_leaf(name, a, actual[name], wide.get(name), tolerance) for name, a in expected.items()]


def assert_equivalent(
    torch_tree: Any, jax_tree: Any, float64: Any = None, *, rtol: float | None = None, atol: float | None = None
) -> list[Leaf]:
    """`compare`, as a test wants it: silence, or an error that names every leaf that differs.

    Args: as for `compare`.
    Returns: as `compare`.
    Raises: AssertionError with a line for each leaf that differs; ValueError as `compare`.
    Source: `torch.testing.assert_close`.
    """
    leaves = compare(torch_tree, jax_tree, float64, rtol=rtol, atol=atol)
    wrong = [leaf for leaf in leaves if not leaf.ok]
    if wrong:
        lines = [f"{len(wrong)} of {len(leaves)} leaves differ:", *map(_line, wrong)]
        raise AssertionError("\n".join(lines))
    return leaves


def _line(leaf: Leaf) -> str:
    return (
        f"  {leaf.name or '(the only leaf)'} {leaf.dtype}{list(leaf.shape)}: {leaf.verdict}, "
        f"max abs {leaf.max_abs:.3g}, max rel {leaf.max_rel:.3g}, {leaf.ulp:.3g} ulp; "
        f"error against float64: PyTorch {leaf.torch_error:.3g}, JAX {leaf.jax_error:.3g}"
    )


def _leaf(
    name: str, expected: np.ndarray, actual: np.ndarray, wide: np.ndarray | None, tolerance: tuple[float, float] | None
) -> Leaf:
    shape, dtype = actual.shape, str(actual.dtype)
    if expected.shape != shape or (wide is not None and wide.shape != shape):
        return _unlike(name, actual, f"shapes differ: PyTorch {expected.shape}")
    if expected.dtype != actual.dtype and not (_exact(expected) and _exact(actual)):
        return _unlike(name, actual, f"dtypes differ: PyTorch {expected.dtype}")
    a, b = widest(expected), widest(actual)
    distance = _distance(a, b)
    errors = (np.nan, np.nan) if wide is None else (_largest(_distance(a, wide)), _largest(_distance(b, wide)))
    rtol, atol = tolerance or TOLERANCES.get(dtype, (0.0, 0.0))
    size = np.where(np.isfinite(a), np.abs(a), 0)
    if not distance.any():
        verdict = "equal"
    elif (distance <= atol + rtol * size).all():
        verdict = "close"
    elif errors[1] <= YARDSTICK * errors[0]:
        verdict = "yardstick"
    else:
        verdict = "differs"
    relative = np.divide(distance, size, out=np.where(distance > 0, np.inf, 0.0), where=size > 0)
    ulp = distance / _spacing(np.maximum(size, np.abs(np.where(np.isfinite(b), b, 0))), actual.dtype)
    largest = (_largest(distance), _largest(relative), _largest(ulp))
    return Leaf(name, shape, dtype, *largest, *errors, _ratio(*errors), verdict)


def _unlike(name: str, actual: np.ndarray, verdict: str) -> Leaf:
    inf, nan = np.inf, np.nan
    return Leaf(name, actual.shape, str(actual.dtype), inf, inf, inf, nan, nan, nan, verdict)


def _leaves(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Arrays by their joined keys, in the order in which dicts hold them: JAX's own flattening would sort them."""
    if isinstance(tree, Mapping):
        members = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple):
        members = [(str(position), value) for position, value in enumerate(tree)]
    else:
        flat, _ = jax.tree_util.tree_flatten_with_path(tree)
        if [path for path, _ in flat] == [()]:
            return {prefix: as_numpy(tree)}
        members = [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in flat]
    found: dict[str, np.ndarray] = {}
    for key, value in members:
        found |= _leaves(value, f"{prefix}.{key}" if prefix else key)
    return found


def _same_names(side: str, expected: dict[str, Any], actual: dict[str, Any]) -> None:
    missing, unexpected = sorted(expected.keys() - actual.keys()), sorted(actual.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(f"the trees differ: {side} lacks {missing} and has {unexpected} that PyTorch's side lacks")


def _exact(x: np.ndarray) -> bool:
    return x.dtype.kind in "biu"


def widest(x: np.ndarray) -> np.ndarray:
    """Numbers in the widest dtype of their kind."""
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a − b|; 0 where both are the same infinity or both NaN, infinite where only one is not finite."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(a - b)
    return np.where(same, 0.0, np.where(np.isfinite(distance), distance, np.inf))


def _largest(x: np.ndarray) -> float:
    return float(x.max(initial=0.0))


def _ratio(torch_error: float, jax_error: float) -> float:
    if torch_error > 0:
        return jax_error / torch_error
    return np.nan if np.isnan(torch_error) else np.inf if jax_error > 0 else 0.0


def _spacing(size: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The distance from a number to the next one of its dtype; 1 for integers."""
    if dtype.kind in "biu":
        return np.ones_like(size)
    info = ml_dtypes.finfo(dtype)
    _, exponent = np.frexp(size)
    return np.maximum(np.ldexp(float(info.eps), exponent - 1), float(info.smallest_subnormal))
