"""What every test runs under: four fake CPU devices, strict promotion of dtypes and ranks, and a compilation cache."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import pytest

pytest_plugins = ["pytester"]

CACHE = Path(__file__).parent.parent / ".jax_cache"

hypothesis.settings.register_profile("fnlearn", deadline=None)  # the first example compiles, on machines of any speed
hypothesis.settings.load_profile("fnlearn")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture
def x64():
    """Float64 arrays inside the test, as torch has them without asking."""
    with jax.enable_x64(True):
        yield
