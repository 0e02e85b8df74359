"""`TorchGenerator` against torch, bit for bit."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import random
from fnlearn.random import compiled
from fnlearn.random.generator import CAPABILITIES
from tests.random.torch_draws import ROWS, SEEDS, all_draws


def mine(capability):
    """Every row's draw from one generator a seed, and the state afterwards."""
    generators = {seed: random.TorchGenerator(seed, capability=capability) for seed in SEEDS}
    drawn = [getattr(generators[seed], method)(*args, **options) for seed, method, args, options in ROWS]
    return drawn, generators[SEEDS[-1]].get_state()


def check(expected, state, capability):
    drawn, after = mine(capability)
    wrong = [row for row, e, m in zip(ROWS, expected, drawn, strict=True) if not same(e, m)]
    assert not wrong, f"{len(wrong)} of {len(ROWS)} rows differ, the first {wrong[:8]}"
    assert (state == after).all()


def same(expected, drawn):
    drawn = drawn.astype("float32") if drawn.dtype.name == "bfloat16" else drawn
    alike = drawn.dtype == expected.dtype and drawn.shape == expected.shape
    return alike and drawn.tobytes() == expected.tobytes()  # so that −0 is not 0


def test_streams_are_torchs():
    drawn, state = all_draws()
    check(drawn, state, torch.backends.cpu.get_cpu_capability().lower())


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_streams_of_other_processors(capability, tmp_path):
    """torch itself held to less than the processor can do; what it can't do is not tested on it."""
    best = torch.backends.cpu.get_cpu_capability().lower()
    if CAPABILITIES.index(capability) > CAPABILITIES.index(best):
        pytest.skip(f"this processor has {best} at most")
    file, environment = tmp_path / "draws.npz", {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    subprocess.run([sys.executable, "-m", "tests.random.torch_draws", file], check=True, env=environment)
    with np.load(file) as saved:
        check([saved[f"arr_{i}"] for i in range(len(ROWS))], saved["state"], capability)


@pytest.mark.parametrize("before", [0, 1, 5, 311, 312, 623, 624, 625, 1248])
@pytest.mark.parametrize("normals", [0, 1, 2])
def test_a_state_goes_on_from_torch_and_back_into_torch(before, normals):
    theirs, mine = torch.Generator().manual_seed(9), random.TorchGenerator(0)
    torch.rand(before, generator=theirs)
    torch.randn(normals, generator=theirs)
    mine.set_state(theirs.get_state().numpy())
    assert mine.initial_seed() == 9
    assert (mine.get_state() == theirs.get_state().numpy()).all()
    again = torch.Generator().set_state(torch.from_numpy(mine.get_state()))
    expected = torch.randn(5, generator=theirs).numpy()
    assert np.array_equal(mine.randn(5), expected)
    assert np.array_equal(torch.randn(5, generator=again), expected)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, -1, -(2**63)])
def test_seeds(seed):
    torch.manual_seed(seed)
    generator = random.TorchGenerator(5).manual_seed(seed)
    assert generator.initial_seed() == torch.initial_seed()
    assert np.array_equal(generator.rand(3), torch.rand(3))


def test_the_default_seed_is_torchs():
    assert np.array_equal(random.TorchGenerator().rand(3), torch.rand(3, generator=torch.Generator()))


def blocks(generator):
    """Draws that fill whole blocks, and so may be compiled."""
    count = compiled.BLOCK + 40
    yield generator.rand(count, dtype="float64")
    for dtype in ("float32", "float64", "bfloat16"):
        yield from (generator.uniform(-0.1, 0.3, count, dtype=dtype), generator.normal(0.1, 0.3, count, dtype=dtype))


def test_numpy_alone_draws_the_same(monkeypatch):
    """Where XLA's arithmetic is not to be trusted, or a compiler built numpy in another way."""
    expected = [x.tobytes() for x in blocks(random.TorchGenerator(0))]
    monkeypatch.setattr(compiled, "_program", lambda *args: None)
    monkeypatch.setattr("fnlearn.random.generator.HIGH_FIRST", False)
    assert [x.tobytes() for x in blocks(random.TorchGenerator(0))] == expected


def test_what_is_compiled_is_checked():
    """A kernel that XLA computes otherwise is left to numpy."""

    def kernel(xp, fma, dtype, words, scale):
        return (words.astype(np.float32) * scale + np.float32(xp is np),)

    args = (np.dtype(np.uint32), compiled.BLOCK), (np.dtype(np.float32), 1)
    assert compiled._program(kernel, np.dtype(np.float32), args) is None


def test_a_draw_while_tracing_is_a_constant():
    """Whole blocks too, although they are computed by JAX."""
    expected, generator = random.TorchGenerator(0).randn(compiled.BLOCK), random.TorchGenerator(0)
    assert np.array_equal(jax.jit(lambda: jnp.asarray(generator.randn(compiled.BLOCK)))(), expected)


@pytest.mark.parametrize(
    ("method", "args", "error", "message"),
    [
        ("uniform", (1.0, 0.0, 3), ValueError, "low must not exceed high"),
        ("uniform", (-1e5, 1e5, 3, {"dtype": "float16"}), ValueError, "low must not exceed high"),
        ("normal", (0.0, -1.0, 3), ValueError, "std must not be negative, got -1.0"),
        ("trunc_normal", (0.0, 1.0, 2.0, -2.0, 3), ValueError, "a below b"),
        ("exponential", (0.0, 3), ValueError, "lambd must be above 0, got 0.0"),
        ("bernoulli", (1.5, 3), ValueError, "p must be between 0 and 1, got 1.5"),
        ("dropout_mask", (3, 1.5), ValueError, "p must be between 0 and 1, got 1.5"),
        ("feature_dropout_mask", (3, 0.5), ValueError, r"shape must be \(N, C, \*\), got \(3,\)"),
        ("randint", (3, 3, 2), ValueError, "low < high"),
        ("randperm", (-1,), ValueError, "n must be between 0"),
        ("rand", (-1,), ValueError, r"sizes must not be negative, got \(-1,\)"),
        ("rand", (3, {"dtype": "int32"}), TypeError, "dtype must be one of float32"),
        ("set_state", (np.zeros(3, np.uint8),), ValueError, "state must be 5056 uint8"),
        ("set_state", (np.zeros(5056, np.uint8),), ValueError, "state must be torch's"),
        ("manual_seed", (2**64,), ValueError, "seed must be between"),
    ],
)
def test_errors_name_what_came_and_what_was_expected(method, args, error, message):
    options = args[-1] if isinstance(args[-1], dict) else {}
    args = args[:-1] if options else args
    with pytest.raises(error, match=message):
        getattr(random.TorchGenerator(0), method)(*args, **options)


def test_an_unknown_capability_is_refused():
    with pytest.raises(ValueError, match="capability must be one of default, avx2, avx512, got 'sse'"):
        random.TorchGenerator(0, capability="sse")
