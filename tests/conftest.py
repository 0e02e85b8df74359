"""What every test runs under: four fake CPU devices, strict promotion of dtypes and ranks, and a compilation cache."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import pytest

from fnlearn.cpu import known_to_jaxlib

pytest_plugins = ["pytester"]

CACHE = Path(__file__).parent.parent / ".jax_cache"

hypothesis.settings.register_profile("fnlearn", deadline=None)  # the first example compiles, on machines of any speed
hypothesis.settings.load_profile("fnlearn")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

# Most of a test's time is XLA's. What the default run asks about is formulas, and programs that are compiled with less
# effort answer it as well; the exhaustive tests compile as users do.
LIGHT = {
    "xla_backend_optimization_level": "0",
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": "1",
}


def pytest_configure(config):
    if config.option.markexpr == "not exhaustive":
        flags = [f"--{name}={value}" for name, value in LIGHT.items() if known_to_jaxlib(name)]
        os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()


@pytest.fixture
def x64():
    """Float64 arrays inside the test, as torch has them without asking."""
    with jax.enable_x64(True):
        yield
