"""Rows of functions of single numbers."""

from typing import Any

from fnlearn.port.graph import Val
from fnlearn.port.table import Template, ndim, row

# one argument

SAME_NAMES = (
    "abs acos acosh asin asinh atan atanh ceil conj cos cosh deg2rad exp exp2 expm1 floor isfinite isinf isnan "
    "isneginf isposinf isreal log log10 log1p log2 logical_not negative positive rad2deg sign signbit sin sinh sqrt "
    "square tan tanh trunc"
)
for _name in SAME_NAMES.split():
    row(_name, "input", f"jnp.{_name}(input)")
for _other, _name in {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctanh": "atanh", "fix": "trunc", "special.exp2": "exp2", "special.expm1": "expm1", "special.log1p": "log1p",
    "__abs__": "abs", "conj_physical": "conj", "resolve_conj": "positive", "angle": "angle", "sgn": "sign",
    "_conj": "conj", "_conj_physical": "conj",
}.items():  # fmt: skip
    row(_other, "input", f"jnp.{_name}(input)")
row("neg __neg__", "input", "-input")
row("bitwise_not __invert__", "input", "~input")
row("reciprocal", "input", "1 / input")
row("rsqrt", "input", "jax.lax.rsqrt(input)")
row("frac", "input", "input - jnp.trunc(input)")
row("round special.round", "input, *, decimals=0", "jnp.round(input, decimals=decimals)")
row("special.spherical_bessel_j0", "input", "jnp.sinc(input / jnp.pi)")
row("sigmoid special.expit", "input", "F.sigmoid(input)")
row("relu", "input", "F.relu(input)")
row("relu6", "input", "F.relu6(input)")
row("selu", "input", "F.selu(input)")
row("celu", "input, alpha=1.0", "F.celu(input, alpha=alpha)")
row("rrelu", "input, lower=0.125, upper=1/3, training=False", "F.rrelu(input, lower, upper, training)", random=True)
row("hardshrink", "input, lambd=0.5", "F.hardshrink(input, lambd=lambd)")
row("prelu", "input, weight", "F.prelu(input, weight)")
row("threshold", "input, threshold, value", "F.threshold(input, threshold, value)")
for _name, _call in {
    "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "lgamma": "gammaln", "digamma": "digamma", "i0": "i0",
    "special.i0e": "i0e", "special.i1": "i1", "special.i1e": "i1e", "special.ndtr": "ndtr", "special.ndtri": "ndtri",
    "special.log_ndtr": "log_ndtr", "special.entr": "entr", "special.erf": "erf", "special.erfc": "erfc",
    "special.erfinv": "erfinv", "special.gammaln": "gammaln", "special.digamma": "digamma", "special.psi": "digamma",
    "special.i0": "i0",
}.items():  # fmt: skip
    row(_name, "input", f"jax.scipy.special.{_call}(input)")
row("special.sinc sinc", "input", "jnp.sinc(input)")
row("logit special.logit", "input, eps=None", lambda a: "jax.scipy.special.logit(input)" if a.eps is None
    else "jax.scipy.special.logit(jnp.clip(input, eps, 1 - eps))")  # fmt: skip
row("mvlgamma special.multigammaln", "input, p", "jax.scipy.special.multigammaln(input, p)")
row("nan_to_num", "input, nan=0.0, posinf=None, neginf=None",
    "jnp.nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf)")  # fmt: skip

# two arguments


def _unchanged(a: Any, number: int) -> bool:
    """Whether a number as the second argument changes nothing, the dtype among it."""
    floats = isinstance(a.input, Val) and ("float" in a.input.dtype or "complex" in a.input.dtype)
    return floats and type(a.other) in (int, float) and a.other == number


def _arithmetic(sign: str) -> Template:
    def template(a: Any) -> str:
        if _unchanged(a, 0):
            return "input"
        if a.alpha != 1 and isinstance(a.other, int | float):
            a.alpha, a.other = 1, a.alpha * a.other
        return f"input {sign} other" if a.alpha == 1 else f"input {sign} alpha * other"

    return template


row("add __add__", "input, other, *, alpha=1", _arithmetic("+"))
row("sub subtract __sub__", "input, other, *, alpha=1", _arithmetic("-"))
row("__radd__", "input, other", lambda a: "input" if _unchanged(a, 0) else "other + input")
row("__rsub__", "input, other", "other - input")
row("rsub", "input, other, alpha=1", lambda a: "other - input" if a.alpha == 1 else "other - alpha * input")
for _names, _sign in {
    "matmul mm bmm mv spmm __matmul__ linalg.matmul": "@",
    "floor_divide __floordiv__": "//", "remainder __mod__": "%", "pow __pow__": "**",
    "lt less __lt__": "<", "le less_equal __le__": "<=", "gt greater __gt__": ">", "ge greater_equal __ge__": ">=",
    "eq __eq__": "==", "ne not_equal __ne__": "!=", "bitwise_and __and__": "&", "bitwise_or __or__": "|",
    "bitwise_xor __xor__": "^", "bitwise_left_shift __lshift__": "<<", "bitwise_right_shift __rshift__": ">>",
}.items():  # fmt: skip
    row(_names, "input, other", f"input {_sign} other")
row("mul multiply __mul__", "input, other", lambda a: "input" if _unchanged(a, 1) else "input * other")
for _names, _sign in {
    "__rtruediv__": "/", "__rdiv__": "/", "__rmatmul__": "@", "__rfloordiv__": "//", "__rmod__": "%",
    "__rpow__": "**", "__rand__": "&", "__ror__": "|", "__rxor__": "^", "__rlshift__": "<<", "__rrshift__": ">>",
}.items():  # fmt: skip
    row(_names, "input, other", f"other {_sign} input")
row("__rmul__", "input, other", lambda a: "input" if _unchanged(a, 1) else "other * input")


def _divided(a: Any) -> str:
    if a.rounding_mode is None:
        return "input" if _unchanged(a, 1) else "input / other"
    return {"floor": "jnp.floor_divide(input, other)", "trunc": "jnp.trunc(input / other)"}[a.rounding_mode]


row("div divide __div__ __truediv__ true_divide", "input, other, *, rounding_mode=None", _divided)
for _name, _call in {
    "atan2": "arctan2", "arctan2": "arctan2", "copysign": "copysign", "fmax": "fmax", "fmin": "fmin", "fmod": "fmod",
    "gcd": "gcd", "heaviside": "heaviside", "hypot": "hypot", "lcm": "lcm",
    "logaddexp": "logaddexp", "logaddexp2": "logaddexp2", "logical_and": "logical_and", "logical_or": "logical_or",
    "logical_xor": "logical_xor", "maximum": "maximum", "minimum": "minimum",
    "kron": "kron", "inner": "inner", "dot": "dot", "vdot": "vdot", "outer": "outer", "ger": "outer",
}.items():  # fmt: skip
    row(_name, "input, other", f"jnp.{_call}(input, other)")
row("xlogy special.xlogy", "input, other", "jax.scipy.special.xlogy(input, other)")
row("special.xlog1py", "input, other", "jax.scipy.special.xlog1py(input, other)")
row("special.zeta", "input, other", "jax.scipy.special.zeta(input, other)")
row("igamma special.gammainc", "input, other", "jax.scipy.special.gammainc(input, other)")
row("igammac special.gammaincc", "input, other", "jax.scipy.special.gammaincc(input, other)")
row("lerp", "input, end, weight", "input + weight * (end - input)")
row("addcmul", "input, tensor1, tensor2, *, value=1", lambda a: "input + tensor1 * tensor2" if a.value == 1
    else "input + value * tensor1 * tensor2")  # fmt: skip
row("addcdiv", "input, tensor1, tensor2, *, value=1", lambda a: "input + tensor1 / tensor2" if a.value == 1
    else "input + value * tensor1 / tensor2")  # fmt: skip


def _added(product: str) -> Template:
    def template(a: Any) -> str:
        left = "" if a.beta == 0 else "input + " if a.beta == 1 else "beta * input + "
        return left + (product if a.alpha == 1 else f"alpha * ({product})")

    return template


row("addmm", "input, mat1, mat2, *, beta=1, alpha=1", _added("mat1 @ mat2"))
row("addmv", "input, mat, vec, *, beta=1, alpha=1", _added("mat @ vec"))
row("addr", "input, vec1, vec2, *, beta=1, alpha=1", _added("jnp.outer(vec1, vec2)"))
row("baddbmm", "input, batch1, batch2, *, beta=1, alpha=1", _added("batch1 @ batch2"))
row("addbmm", "input, batch1, batch2, *, beta=1, alpha=1", _added("(batch1 @ batch2).sum(0)"))


def _clamp(a: Any) -> str:
    if a.min is None or a.max is None:
        return "jnp.maximum(input, min)" if a.max is None else "jnp.minimum(input, max)"
    return "jnp.clip(input, min, max)"


row("clamp clip", "input, min=None, max=None", _clamp)
row("clamp_min", "input, min", "jnp.maximum(input, min)")
row("clamp_max", "input, max", "jnp.minimum(input, max)")
row("where", "condition, input, other", "jnp.where(condition, input, other)")
row("Tensor.where", "input, condition, other", "jnp.where(condition, input, other)")
row("masked_fill", "input, mask, value", "jnp.where(mask, value, input)")
row("isclose", "input, other, rtol=1e-05, atol=1e-08, equal_nan=False",
    "jnp.isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)")  # fmt: skip
row(
    "complex",
    "real, imag",
    lambda a: (
        "jax.lax.complex(real, imag)"
        if a.real.shape == a.imag.shape
        else "jax.lax.complex(*jnp.broadcast_arrays(real, imag))"
    ),
)
row("nextafter", "input, other", "jnp.nextafter(input, other)")
row("frexp", "input", "jnp.frexp(input)")
row("polar", "abs, angle", "jax.lax.complex(abs * jnp.cos(angle), abs * jnp.sin(angle))")
row("real", "input", "input.real")
row("imag", "input", "input.imag")
row("view_as_real", "input", "jnp.stack([input.real, input.imag], -1)")
row("view_as_complex", "input", "jax.lax.complex(input[..., 0], input[..., 1])")
row("ldexp", "input, other", "input * 2.0**other")
row("isin", "elements, test_elements, *, assume_unique=False, invert=False",
    "jnp.isin(elements, test_elements, assume_unique=assume_unique, invert=invert)")  # fmt: skip
row(
    "bucketize",
    "input, boundaries, *, out_int32=False, right=False",
    lambda a: _places(a, f"jnp.searchsorted(boundaries, input, side='{'right' if a.right else 'left'}')"),
)
row(
    "searchsorted",
    "sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None",
    lambda a: _places(a, _searched(a)),
)


def _places(a: Any, found: str) -> str:
    return f"{found}.astype(jnp.int32)" if a.out_int32 else found


def _searched(a: Any) -> str:
    side = a.side or ("right" if a.right else "left")
    if ndim(a.sorted_sequence) == 1 and a.sorter is None:
        return f"jnp.searchsorted(sorted_sequence, input, side='{side}')"
    sign = "<=" if side == "right" else "<"
    order = "jnp.take_along_axis(sorted_sequence, sorter, -1)" if a.sorter is not None else "sorted_sequence"
    return f"({order}[..., None, :] {sign} jnp.asarray(input)[..., None]).sum(-1)"


row(
    "float_power",
    "input, exponent",
    lambda a: (
        "input.astype(float) ** exponent" if isinstance(a.input, Val) else "jnp.asarray(input, float) ** exponent"
    ),
)
