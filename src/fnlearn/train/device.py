"""What is published of the devices that people train on, and how much of it a step uses.

Numbers are those of the makers' data sheets, for dense matrices (the sheets' headline often counts a zero for every
second number, and is halved here), for one device as JAX counts them: a whole GPU, a TPU chip, and for TPU v2 and v3
one of a chip's two cores.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnlearn.train.jaxpr import DEFAULT, products

__all__ = ["Chip", "chip", "mfu", "peak_flops", "product_flops", "step_flops"]

TERA, GIGA, GIB = 1e12, 1e9, 2**30


class Chip(NamedTuple):
    """A device as its maker describes it.

    Args: name: of the device. kinds: a regular expression that all of a `jax.Device`'s `device_kind` matches. peaks:
        the most floating-point operations a second, by dtype; "tensorfloat32" is float32 multiplied with 10 bits of
        mantissa. memory: bytes. link: bytes a second that one device sends to the others of its group, while it
        receives as many. group: devices that are linked so. network: bytes a second that one device sends to other
        groups, where there is a usual network. source: where the numbers are from.
    Raises: nothing.
    """

    name: str
    kinds: str
    peaks: Mapping[str, float]
    memory: float
    link: float
    group: int
    network: float | None
    source: str


def _tera(**peaks: float) -> dict[str, float]:
    """Peaks in units of 1e12; 16 stands for both narrow dtypes."""
    names = {"f64": ("float64",), "f32": ("float32",), "tf32": ("tensorfloat32",), "f16": ("float16",),
             "bf16": ("bfloat16",), "narrow": ("float16", "bfloat16")}  # fmt: skip
    return {name: peak * TERA for short, peak in peaks.items() for name in names[short]}


_V100 = _tera(f64=7.8, f32=15.7, f16=125)
_A100 = _tera(f64=19.5, f32=19.5, tf32=156, narrow=312)
_H100 = _tera(f64=67, f32=67, tf32=494.7, narrow=989.4)
_NVL = _tera(f64=60, f32=60, tf32=417.5, narrow=835.5)
_A100_SHEET = "NVIDIA A100 Tensor Core GPU data sheet; DGX A100: eight GPUs, a 200 Gb/s adapter for each"
_H100_SHEET = "NVIDIA H100 Tensor Core GPU data sheet; DGX H100: eight GPUs, a 400 Gb/s adapter for each"
_H200_SHEET = "NVIDIA H200 Tensor Core GPU data sheet; DGX H200: eight GPUs, a 400 Gb/s adapter for each"
_TPU_SHEET = "Google Cloud TPU, system architecture, the page of the version"

CHIPS = (
    Chip("T4", r"(Tesla|NVIDIA) T4", _tera(f32=8.1, f16=65), 16 * GIGA, 16 * GIGA, 1, None, "NVIDIA T4 data sheet"),
    Chip("V100 SXM2 16 GB", r"(Tesla |NVIDIA )?V100-SXM2-16GB", _V100, 16 * GIGA, 150 * GIGA, 8, 12.5 * GIGA,
         "NVIDIA V100 data sheet; DGX-1: eight GPUs, a 100 Gb/s adapter for two"),
    Chip("V100 SXM 32 GB", r"(Tesla |NVIDIA )?V100-SXM\d-32GB", _V100, 32 * GIGA, 150 * GIGA, 8, 12.5 * GIGA,
         "NVIDIA V100 data sheet; DGX-1: eight GPUs, a 100 Gb/s adapter for two"),
    Chip("A100 40 GB", r"(NVIDIA )?A100-SXM\d-40GB", _A100, 40 * GIGA, 300 * GIGA, 8, 25 * GIGA, _A100_SHEET),
    Chip("A100 80 GB", r"(NVIDIA )?A100-SXM\d-80GB", _A100, 80 * GIGA, 300 * GIGA, 8, 25 * GIGA, _A100_SHEET),
    Chip("A100 PCIe 40 GB", r"(NVIDIA )?A100-PCIE-40GB", _A100, 40 * GIGA, 32 * GIGA, 1, None, _A100_SHEET),
    Chip("A100 PCIe 80 GB", r"(NVIDIA )?A100 80GB PCIe", _A100, 80 * GIGA, 32 * GIGA, 1, None, _A100_SHEET),
    Chip("H100", r"NVIDIA H100 80GB HBM3", _H100, 80 * GIGA, 450 * GIGA, 8, 50 * GIGA, _H100_SHEET),
    Chip("H100 PCIe", r"NVIDIA H100 PCIe", _tera(f64=51, f32=51, tf32=378, narrow=756), 80 * GIGA, 64 * GIGA, 1, None,
         _H100_SHEET),
    Chip("H100 NVL", r"NVIDIA H100 NVL", _NVL, 94 * GIGA, 300 * GIGA, 2, None, _H100_SHEET),
    Chip("H200", r"NVIDIA H200", _H100, 141 * GIGA, 450 * GIGA, 8, 50 * GIGA, _H200_SHEET),
    Chip("H200 NVL", r"NVIDIA H200 NVL", _NVL, 141 * GIGA, 450 * GIGA, 4, None, _H200_SHEET),
    Chip("L4", r"NVIDIA L4", _tera(f32=30.3, tf32=60, narrow=121), 24 * GIGA, 32 * GIGA, 1, None,
         "NVIDIA L4 data sheet"),
    Chip("L40S", r"NVIDIA L40S", _tera(f32=91.6, tf32=183, narrow=362.05), 48 * GIGA, 32 * GIGA, 1, None,
         "NVIDIA L40S data sheet"),
    Chip("B200", r"NVIDIA B200", _tera(tf32=1125, narrow=2250), 180 * GIGA, 900 * GIGA, 8, 50 * GIGA,
         "NVIDIA DGX B200 data sheet: eight GPUs, a 400 Gb/s adapter for each"),
    Chip("TPU v2", r"TPU v2", _tera(bf16=22.5), 8 * GIB, 62.5 * GIGA, 512, None, _TPU_SHEET),
    Chip("TPU v3", r"TPU v3", _tera(bf16=61.5), 16 * GIB, 82 * GIGA, 2048, None, _TPU_SHEET),
    Chip("TPU v4", r"TPU v4", _tera(bf16=275), 32 * GIB, 300 * GIGA, 4096, None, _TPU_SHEET),
    Chip("TPU v5e", r"TPU v5( lite|e)", _tera(bf16=197), 16 * GIGA, 200 * GIGA, 256, None, _TPU_SHEET),
    Chip("TPU v5p", r"TPU v5p?", _tera(bf16=459), 95 * GIB, 600 * GIGA, 8960, None, _TPU_SHEET),
    Chip("TPU v6e", r"TPU v6( lite|e)", _tera(bf16=918), 32 * GIGA, 400 * GIGA, 256, None, _TPU_SHEET),
)  # fmt: skip


def chip(device: jax.Device | None = None) -> Chip | None:
    """What is published of a device.

    Args: device: JAX's; the first when left out.
    Returns: its row of `CHIPS`, or None for a CPU and whatever is not in the table.
    Raises: nothing.
    Source: `jax.Device.device_kind`.
    """
    kind = (jax.devices()[0] if device is None else device).device_kind
    return next((row for row in CHIPS if re.fullmatch(row.kinds, kind)), None)


def peak_flops(device: jax.Device | None = None, dtype: Any = "float32") -> float | None:
    """The most floating-point operations a second that a device is sold with.

    Args: device: JAX's; the first when left out. dtype: of what is multiplied, or "tensorfloat32".
    Returns: operations a second, an addition and a multiplication counted as two; None where none is published, as for
        a CPU, or for float32 on a TPU.
    Raises: TypeError when the dtype is none.
    Source: the rows of `CHIPS`.
    """
    known = chip(device)
    return None if known is None else known.peaks.get(_name(dtype))


def step_flops(compiled: Any) -> float | None:
    """The floating-point operations of a compiled function, as XLA counts them.

        step_flops(jax.jit(step).lower(state, batch).compile())

    The body of a loop, such as `jax.lax.scan`, counts once, however often it runs: see `product_flops`.

    Args: compiled: what `jax.jit(f).lower(…).compile()` gives.
    Returns: operations of one call, on one device; None where the backend does not say.
    Raises: nothing.
    Source: `jax.stages.Compiled.cost_analysis`.
    """
    try:
        costs = compiled.cost_analysis()
    except NotImplementedError:  # "by backend"
        return None
    costs = costs[0] if isinstance(costs, list | tuple) and costs else costs
    flops = costs.get("flops") if isinstance(costs, Mapping) else None
    return float(flops) if flops and flops > 0 else None


def product_flops(function: Callable[..., Any], *args: Any) -> float:
    """The floating-point operations of all matrix products and convolutions of a function, as it is written.

        product_flops(step, state, batch)

    The body of a `jax.lax.scan` counts as often as it runs, that of a while loop once, and of branches the longest. All
    else, such as activations, is left out: it is what `mfu` is defined by.

    Args: function: of arrays; it is traced, not run. args: its arguments, arrays or `jax.ShapeDtypeStruct`.
    Returns: operations of one call, an addition and a multiplication counted as two.
    Raises: what the function raises when it is traced.
    Source: Chowdhery et al.: PaLM (2022), appendix B.
    """
    return sum(products(jax.make_jaxpr(function)(*args).jaxpr).values(), 0.0)


def mfu(flops: float, seconds: float, device: jax.Device | None = None, dtype: Any = "float32") -> float | None:
    """The share of a device's peak that a computation uses: model FLOPs utilisation.

    JAX multiplies float32 in tensorfloat32 on a GPU that has it, and in bfloat16 on a TPU, unless
    `jax_default_matmul_precision` asks for more: the share is that of the peak at which it really multiplies.

    Args: flops: operations of one device. seconds: that they took. device: JAX's; the first when left out. dtype: of
        what is multiplied.
    Returns: a number from 0 to 1, or None where the peak is not known.
    Raises: TypeError when the dtype is none.
    Source: Chowdhery et al.: PaLM (2022), appendix B.
    """
    known = chip(device)
    peak = None if known is None else known.peaks.get(_multiplied_in(known, _name(dtype)))
    return None if peak is None else flops / seconds / peak


def _name(dtype: Any) -> str:
    return "tensorfloat32" if dtype == "tensorfloat32" else jnp.dtype(dtype).name


def seconds_at_peak(jaxpr: Any, device: jax.Device) -> float | None:
    """What all products would take at the peaks of the dtypes in which they multiply; None where one is not known, and
    where there are none. Those of integers don't count, since `mfu` is of floating-point operations.
    """
    known = chip(device)
    if known is None:
        return None
    found = {name: flops for name, flops in products(jaxpr).items() if name == DEFAULT or _floats(name)}
    peaks = {name: known.peaks.get(_low(known) if name == DEFAULT else name, 0.0) for name in found}
    return sum(found[name] / peak for name, peak in peaks.items()) if found and all(peaks.values()) else None


def _floats(name: str) -> bool:
    return jnp.issubdtype(jnp.dtype(name), jnp.inexact)


def _multiplied_in(known: Chip, name: str) -> str:
    """The dtype in which float32 is multiplied at the precision that is set."""
    if name != "float32" or jax.config.jax_default_matmul_precision in ("highest", "float32"):  # type: ignore[attr-defined]
        return name
    return _low(known)


def _low(known: Chip) -> str:
    """The dtype in which float32 is multiplied when nothing is asked for."""
    return next((low for low in ("tensorfloat32", "float32", "bfloat16") if low in known.peaks), "float32")
