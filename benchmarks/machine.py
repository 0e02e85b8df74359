"""What the figures depend on: the processor, the devices, the versions, the threads and the flags."""

import functools
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import torch

import fnlearn

PACKAGES = ("jax", "jaxlib", "torch", "numpy", "optax")


def description() -> dict[str, Any]:
    """All that one needs to know in order to measure the same again."""
    return {
        "cpu": cpu(),
        "cores": cores(),
        "jax_devices": [device.device_kind for device in jax.devices()],
        "jax_threads": cores(),
        "jax_matmul_precision": jax.config.jax_default_matmul_precision or "default",  # type: ignore[attr-defined]
        "torch_device": torch_device_name(),
        "torch_threads_tried": thread_counts(),
        "torch_matmul_precision": torch.get_float32_matmul_precision(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "allocator": allocator(),
        "settings": configured(),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def cpu() -> str:
    """The processor's own name for itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def allocator() -> str:
    """What was preloaded in the place of the C library's allocator, with its settings; "" where nothing was."""
    loaded = " ".join(Path(path).name for path in os.environ.get("LD_PRELOAD", "").replace(":", " ").split())
    return f"{loaded} {os.environ.get('MALLOC_CONF', '')}".strip() if loaded else ""


@functools.cache
def configured() -> str:
    """What `fnlearn.configure_cpu` set for this process, all sides of it: asked before JAX's backend starts."""
    try:
        return "; ".join(fnlearn.configure_cpu().done)
    except RuntimeError:
        return "none, since JAX's backend ran already"


def cores() -> int:
    """Those this process may use, which is how many threads XLA's pool has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_counts() -> list[int]:
    """How many threads PyTorch is tried with: small work is faster with one."""
    return sorted({1, cores()}) if torch_device() == "cpu" else [cores()]


def torch_device() -> str:
    """PyTorch runs where JAX does: on the GPU when both see one."""
    return "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


def torch_device_name() -> str:
    return torch.cuda.get_device_name() if torch_device() == "cuda" else "cpu"
