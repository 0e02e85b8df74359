"""Rows of ATen's core operations whose arguments are others than those of the public function, if there is one."""

from collections.abc import Callable
from typing import Any

from fnlearn.port.table import ndim, row, with_

# single numbers and dtypes


def _elu(a: Any) -> str:
    bent = "input" if a.input_scale == 1 else "input * input_scale"
    result = f"F.elu({bent}, alpha)"
    if a.input_scale != 1:
        result = f"jnp.where(input > 0, input, {result})"
    return result if a.scale == 1 else f"scale * {result}"


row("aten.elu", "input, alpha=1, scale=1, input_scale=1", _elu)


def _to_copy(a: Any) -> str:
    return "input" if a.dtype.name == a.input.dtype else "input.astype(dtype)"


row(
    "aten._to_copy",
    "input, *, dtype=None, layout=None, device=None, pin_memory=None, non_blocking=False, memory_format=None",
    _to_copy,
)

# functions under other names

row("aten._softmax", "input, dim, half_to_float", "F.softmax(input, dim)")
row("aten._log_softmax", "input, dim, half_to_float", "F.log_softmax(input, dim)")

# places

row("aten.index", "input, indices", lambda a: with_(a, at=_places(a.indices), then="input[at]"))
row(
    "aten.embedding",
    "weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False",
    lambda a: with_(a, pad=None if a.padding_idx < 0 else a.padding_idx, then="F.embedding(indices, weight, pad)"),
)


def _places(indices: Any) -> Any:
    places = tuple(slice(None) if index is None else index for index in indices)
    return places[0] if len(places) == 1 else places


# networks


def _convolution(a: Any) -> str:
    name = f"conv_transpose{ndim(a.input) - 2}d" if a.transposed else f"conv{ndim(a.input) - 2}d"
    extra = ", output_padding=output_padding" if a.transposed else ""
    a.stride, a.padding, a.dilation = tuple(a.stride), tuple(a.padding), tuple(a.dilation)
    a.output_padding = tuple(a.output_padding)
    options = f"stride=stride, padding=padding{extra}, groups=groups, dilation=dilation"
    return f"F.{name}(input, weight, bias, {options})"


row(
    "aten.convolution",
    "input, weight, bias, stride, padding, dilation, transposed, output_padding, groups",
    _convolution,
)
row("aten._adaptive_avg_pool2d", "input, output_size", "F.adaptive_avg_pool2d(input, output_size)")
row("aten._adaptive_avg_pool3d", "input, output_size", "F.adaptive_avg_pool3d(input, output_size)")


def _pool(call: str, *options: str) -> Callable[[Any], str]:
    def template(a: Any) -> str:
        for name in ("kernel_size", "stride", "padding", "dilation"):
            if hasattr(a, name):
                setattr(a, name, tuple(getattr(a, name)) or None)
        return f"F.{call}(input, kernel_size, {', '.join(f'{option}={option}' for option in options)})"

    return template


for _n in (2, 3):
    row(
        f"aten.avg_pool{_n}d",
        "input, kernel_size, stride=(), padding=(0,), ceil_mode=False, count_include_pad=True, divisor_override=None",
        _pool(f"avg_pool{_n}d", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    )
    row(
        f"aten.max_pool{_n}d_with_indices",
        "input, kernel_size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False",
        _pool(f"max_pool{_n}d_with_indices", "stride", "padding", "dilation", "ceil_mode"),
    )
for _n in (1, 2, 3):
    for _mode, _word in {"reflection": "reflect", "replication": "replicate"}.items():
        row(f"aten.{_mode}_pad{_n}d", "input, padding", f"F.pad(input, padding, {_word!r})")
row(
    "aten.col2im",
    "input, output_size, kernel_size, dilation, padding, stride",
    "F.fold(input, output_size, kernel_size, dilation=dilation, padding=padding, stride=stride)",
)


def _upsampled(mode: str) -> Callable[[Any], str]:
    corners = "" if mode == "nearest" else ", align_corners=align_corners"

    def template(a: Any) -> str:
        return f"F.interpolate(input, output_size, scale_factors, {mode!r}{corners})"

    return template


row("aten.upsample_nearest2d", "input, output_size=None, scale_factors=None", _upsampled("nearest"))
row("aten.upsample_bilinear2d", "input, output_size, align_corners, scale_factors=None", _upsampled("bilinear"))

# normalisations come with the statistics that their gradient needs


def _layer_norm(a: Any) -> list[str]:
    a.axes = tuple(range(-len(a.normalized_shape), 0))
    a.normalized_shape = tuple(a.normalized_shape)
    mean = "input.mean(axes, keepdims=True)"
    rstd = "jax.lax.rsqrt(input.var(axes, keepdims=True) + eps)"
    out = "F.layer_norm(input, normalized_shape, weight, bias, eps=eps)"
    return [out, f"jax.lax.stop_gradient({mean})", f"jax.lax.stop_gradient({rstd})"]  # as torch has it


def _group_norm(a: Any) -> list[str]:
    rows = "input.reshape(N, group, -1)"
    rstd = f"jax.lax.rsqrt({rows}.var(-1) + eps)"
    return ["F.group_norm(input, group, weight, bias, eps=eps)", f"{rows}.mean(-1)", rstd]


row("aten.native_layer_norm", "input, normalized_shape, weight, bias, eps", _layer_norm)
row("aten.native_group_norm", "input, weight, bias, N, C, HxW, group, eps", _group_norm)
row(
    "aten._native_batch_norm_legit_no_training",
    "input, weight, bias, running_mean, running_var, momentum, eps",
    ["F.batch_norm(input, running_mean, running_var, weight, bias, eps=eps)", "jnp.zeros(0)", "jnp.zeros(0)"],
)

# distances and waves

row("aten._pdist_forward", "input, p=2.0", "F.pdist(input, p)")

SCALED = {0: "backward", 1: "ortho", 2: "forward"}  # how torch counts what is divided on the way out


def _r2c(a: Any) -> str:
    a.axes, a.norm = tuple(a.dim), SCALED[a.normalization]
    return f"jnp.fft.{'rfftn' if a.onesided else 'fftn'}(input, axes=axes, norm=norm)"


def _c2c(a: Any) -> str:
    a.axes = tuple(a.dim)
    a.norm = SCALED[a.normalization if a.forward else 2 - a.normalization]
    return f"jnp.fft.{'fftn' if a.forward else 'ifftn'}(input, axes=axes, norm=norm)"


def _c2r(a: Any) -> str:
    a.axes, a.norm = tuple(a.dim), SCALED[2 - a.normalization]
    a.s = (*(a.input.shape[d] for d in a.axes[:-1]), a.last_dim_size)
    return "jnp.fft.irfftn(input, s=s, axes=axes, norm=norm)"


row("aten._fft_r2c", "input, dim, normalization, onesided", _r2c)
row("aten._fft_c2c", "input, dim, normalization, forward", _c2c)
row("aten._fft_c2r", "input, dim, normalization, last_dim_size", _c2r)
