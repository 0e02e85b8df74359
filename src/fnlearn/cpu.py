"""Settings with which XLA computes faster on a CPU: they hold for the whole process, so only a call sets them."""

import ctypes
import importlib.util
import math
import mmap
import os
import pkgutil
import platform
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

__all__ = ["CpuSettings", "configure_cpu", "known_to_jaxlib"]

FLAGS = {
    # the order of operations that needs the least memory: fewer pages to be mapped at every call. Where malloc keeps
    # its pages there is nothing to win by it, and steps are up to a tenth slower in that order.
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}
# Not among them: xla_disable_hlo_passes=cse_barrier_expander, with which `jax.lax.optimization_barrier` holds until
# operations are fused. It makes deep residual networks faster, but XLA then can't compile small loops with a barrier
# inside ("Unhandled opcode for elemental IR emission: opt-barrier").
THREADS = "PJRT_NPROC"  # how many threads XLA's CPU client starts
ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
MALLOC_VARIABLES = (
    "GLIBC_TUNABLES",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_MAX_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
)
MALLOC = {  # mallopt's names, numbers and values; see glibc's malloc.h
    "M_MMAP_MAX": (-4, 0),  # large arrays lie in the heap, not in maps of their own that end with them
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),  # the heap's end is not given back
    "M_TOP_PAD": (-2, 64 * 2**20),  # and grows by so much at least
    "M_ARENA_MAX": (-8, 1),  # XLA's threads have no heaps of their own, which are too small for large arrays
}
PRELOAD = (
    "memory: where there is jemalloc, start with"
    " LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1"
)


class CpuSettings(NamedTuple):
    """What `configure_cpu` did; its text is one line for each.

    Args: done: what was set. left: what was not, with the reason. advice: what can only be set when a process starts.
    Raises: nothing.
    """

    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(
            (*(f"set {line}" for line in self.done), *(f"left {line}" for line in self.left), *self.advice)
        )


def configure_cpu(threads: int | None = None) -> CpuSettings:
    """Set what makes XLA faster on a CPU, for this process and those that it starts; on a GPU or TPU, nothing.

        import fnlearn

        print(fnlearn.configure_cpu())  # before JAX computes anything

    glibc is told to keep the memory of large arrays, which it else gives back after every step and takes anew in the
    next: a step takes 5 to 20 % less time, and the process stays as large as it ever was; those that it starts are not
    told. Where memory is not kept, a flag is added to `XLA_FLAGS`, where the installed jaxlib knows it and it is not
    there yet. The number of threads is set where a container or the caller allows fewer than the machine has.

    Args: threads: how many XLA computes with; as many as this process may use when left out.
    Returns: what was set, what was left alone and why, and what could be done beside.
    Raises: ValueError when threads is below 1; RuntimeError when JAX's backend runs already, which reads the settings
        once, as it starts.
    Source: XLA's `debug_options_flags.cc` and `pjrt/utils.cc`; `mallopt` of glibc.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if reason := _accelerator():
        return CpuSettings(left=(f"everything: {reason}",))
    if _running():
        raise RuntimeError(
            "JAX's backend runs already, and it reads its settings as it starts: call configure_cpu() before anything"
            " is computed, such as right after the imports"
        )
    done, left, advice = [], [], []
    preloaded = next((name for name in ALLOCATORS if name in os.environ.get("LD_PRELOAD", "")), None)
    told = next((name for name in MALLOC_VARIABLES if name in os.environ), None)
    kept = preloaded is not None
    if preloaded or told:
        left.append(f"memory: {f'{preloaded} manages it' if preloaded else f'{told} says how'}")
    elif kept := _keep_memory():
        done.append("memory: malloc keeps that of large arrays for the next step")
    elif sys.platform == "linux":
        advice.append(PRELOAD)
    for flag, value in FLAGS.items():
        if kept:
            left.append(f"--{flag}: where memory is kept there is nothing to win by it")
        elif f"--{flag}" in os.environ.get("XLA_FLAGS", ""):
            left.append(f"--{flag}: XLA_FLAGS has it already")
        elif not known_to_jaxlib(flag, value):
            left.append(f"--{flag}: this jaxlib does not know it")  # and ends the process where there is one such
        else:
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --{flag}={value}".strip()
            done.append(f"XLA_FLAGS --{flag}={value}")
    allowed = threads or _allowed()
    if THREADS in os.environ and threads is None:
        left.append(f"threads: {THREADS} is {os.environ[THREADS]} already")
    elif allowed != _cores():
        os.environ[THREADS] = str(allowed)
        done.append(f"{THREADS}={allowed} threads")
    else:
        left.append(f"threads: XLA takes all {allowed} by itself")
    return CpuSettings(tuple(done), tuple(left), tuple(advice))


def _keep_memory() -> bool:
    """Whether the C library's malloc keeps its pages from now on: only glibc's can be told to."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(number, value) == 1 for number, value in MALLOC.values()])


def _accelerator() -> str | None:
    """Why this process is not taken to compute on the CPU, or None: known without starting the backend."""
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if "jax" in sys.modules:
        platforms = sys.modules["jax"].config.jax_platforms or ""
    if platforms:
        first = platforms.split(",")[0]
        return None if first == "cpu" else f"JAX computes on {first}"
    plugins = {entry.name for entry in entry_points(group="jax_plugins")}
    if spec := importlib.util.find_spec("jax_plugins"):
        plugins |= {module.name for module in pkgutil.iter_modules(spec.submodule_search_locations)}
    plugins |= {"libtpu"} if importlib.util.find_spec("libtpu") else set()
    return f"JAX has {', '.join(sorted(plugins))}; to compute on the CPU set JAX_PLATFORMS=cpu" if plugins else None


def _running() -> bool:
    """Whether JAX's backend has started: then the number of CPU devices can't be changed any more."""
    if "jax" not in sys.modules:
        return False
    config = sys.modules["jax"].config
    before = config.jax_num_cpu_devices
    try:
        config.update("jax_num_cpu_devices", before + 2)
    except RuntimeError:
        return True
    config.update("jax_num_cpu_devices", before)
    return False


def known_to_jaxlib(*words: str) -> bool:
    """Whether all of the words stand in jaxlib's library: an unknown flag would end the process.

    Args: words: names of XLA's flags, without dashes, or of their values.
    Returns: whether it has them all.
    Raises: nothing.
    """
    spec = importlib.util.find_spec("jaxlib")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    libraries = [path for folder in folders for path in folder.glob("*.so") if path.stat().st_size > 1e7]
    return any(all(_contains(path, word) for word in words) for path in libraries)


def _contains(path: Path, word: str) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(word.encode()) >= 0


def _cores() -> int:
    """Those that this process may run on, as XLA counts them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _allowed(root: Path = Path("/sys/fs/cgroup")) -> int:
    """How many of them a container may keep busy."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        share = math.inf if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):
        share = math.inf
    return max(1, math.ceil(min(share, _cores())))
