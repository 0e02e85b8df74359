"""What is set for a CPU, in processes of their own; importing sets nothing."""

import os
import platform
import subprocess
import sys

import jax
import pytest

import fnlearn
from fnlearn import cpu

SETTINGS = ("XLA_FLAGS", "PJRT_NPROC", "LD_PRELOAD", *cpu.MALLOC_VARIABLES)
CLEAN = {name: value for name, value in os.environ.items() if name not in SETTINGS}
KEPT = "set memory: malloc keeps that of large arrays for the next step"
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
FLAGS = [f"--{flag}={value}" for flag, value in cpu.FLAGS.items()]


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**CLEAN, "JAX_PLATFORMS": "cpu", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_sets_nothing():
    code = """
import os
before = dict(os.environ)
import fnlearn, fnlearn.cpu, fnlearn.functional, fnlearn.train, fnlearn.cli
assert dict(os.environ) == before
"""
    python(code)


COMPUTED = """
from pathlib import Path
import fnlearn
if SET:
    import fnlearn.cpu
    fnlearn.cpu.FLAGS["xla_a_flag_of_another_year"] = "1"
    fnlearn.cpu._keep_memory = lambda: False  # as with another C library
    print(fnlearn.configure_cpu(3))
import jax, jax.numpy as jnp

def loss(w):
    x = jnp.cos(jnp.arange(128.0)).reshape(8, 16)
    for _ in range(4):
        x = jax.lax.optimization_barrier(x + jnp.tanh(x @ w))
    return (x**2).sum()

w = jnp.sin(jnp.arange(256.0)).reshape(16, 16)
print(*jax.grad(loss)(w).ravel().tolist())
print(sum((task / "comm").read_text().startswith("tf_XLAEigen") for task in Path("/proc/self/task").iterdir()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_the_settings_hold_and_values_stay():
    (*told, values, threads), plain = (python(COMPUTED.replace("SET", str(on))).splitlines() for on in (True, False))
    assert told[:2] == [*(f"set XLA_FLAGS {flag}" for flag in FLAGS), "set PJRT_NPROC=3 threads"]
    assert told[2] == "left --xla_a_flag_of_another_year: this jaxlib does not know it"  # which would end the process
    assert "LD_PRELOAD" in told[3]
    assert threads == "3"
    numbers = [[float(x) for x in line.split()] for line in (values, plain[0])]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, abs=1e-5)


STEPS = """
import resource, fnlearn
if SET:
    print(fnlearn.configure_cpu())
import jax, jax.numpy as jnp

@jax.jit
def step(x):
    y = jnp.flip(x)  # 64 MiB that lie in memory for this call alone
    return jnp.stack([y @ x, y @ y])

x = jnp.arange(2.0**24) % 1000.0
for _ in range(12):  # the heap grows until there is room between what is kept
    value = step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    value = step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, *value.tolist())
"""


@glibc
def test_pages_are_mapped_once():
    (*told, kept), (plain,) = (python(STEPS.replace("SET", str(on))).splitlines() for on in (True, False))
    assert told[0] == KEPT
    (faults, *values), (more, *expected) = (line.split() for line in (kept, plain))
    assert values == expected
    assert int(faults) < int(more) / 4, f"{faults} pages mapped in four steps, {more} without"


def test_what_a_person_has_set_stays():
    code = "import os, fnlearn; print(fnlearn.configure_cpu()); print(os.environ['XLA_FLAGS'])"
    told = python(
        code,
        XLA_FLAGS="--xla_cpu_scheduler_type=CPU_SCHEDULER_TYPE_DEFAULT",
        PJRT_NPROC="1",
        LD_PRELOAD="libjemalloc.so.2",
    )
    assert "left memory: jemalloc manages it" in told
    assert "left --xla_cpu_scheduler_type: where memory is kept" in told
    assert "left threads: PJRT_NPROC is 1 already" in told
    assert told.splitlines()[-1] == "--xla_cpu_scheduler_type=CPU_SCHEDULER_TYPE_DEFAULT"
    code = "import fnlearn.cpu; fnlearn.cpu._keep_memory = lambda: False; print(fnlearn.configure_cpu())"
    assert "left --xla_cpu_scheduler_type: XLA_FLAGS has it already" in python(code, XLA_FLAGS=FLAGS[0])


@pytest.mark.parametrize("name", cpu.MALLOC_VARIABLES)
def test_what_malloc_was_told_stays(name):
    told = python("import fnlearn; print(fnlearn.configure_cpu())", **{name: "1"})
    assert f"left memory: {name} says how" in told
    assert KEPT not in told
    assert f"set XLA_FLAGS {FLAGS[0]}" in told  # which pays where memory is not known to be kept


def test_on_an_accelerator_nothing_is_done():
    told = python(
        "import os, fnlearn; print(fnlearn.configure_cpu(), os.environ.get('XLA_FLAGS'))", JAX_PLATFORMS="tpu"
    )
    assert told == "left everything: JAX computes on tpu None\n"
    told = python("import jax, fnlearn; jax.config.update('jax_platforms', 'cuda,cpu'); print(fnlearn.configure_cpu())")
    assert told == "left everything: JAX computes on cuda\n"
    code = """
import types, fnlearn.cpu
fnlearn.cpu.entry_points = lambda group: [types.SimpleNamespace(name="xla_cuda12")]
print(fnlearn.configure_cpu())
"""
    told = "left everything: JAX has xla_cuda12; to compute on the CPU set JAX_PLATFORMS=cpu"
    assert python(code, JAX_PLATFORMS="").startswith(told)


def test_when_the_backend_runs_it_is_told():
    jax.numpy.ones(3)
    before = jax.config.values["jax_num_cpu_devices"]
    with pytest.raises(RuntimeError, match="backend runs already"):
        fnlearn.configure_cpu()
    assert jax.config.values["jax_num_cpu_devices"] == before
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        fnlearn.configure_cpu(0)


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        ({"cpu.max": "150000 100000"}, 2), ({"cpu.max": "max 100000"}, 64), ({}, 64),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)  # fmt: skip
def test_a_containers_share(tmp_path, monkeypatch, files, allowed):
    monkeypatch.setattr(cpu, "_cores", lambda: 64)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert cpu._allowed(tmp_path) == allowed
