"""Sources that need JAX alone: whether what is written into them is what `fnlearn.functional` does."""

import ast
import inspect
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnlearn.functional as F
from fnlearn import port, tree
from fnlearn.port.program import imported
from fnlearn.port.standalone import with_functions
from tests.port import models

CASES = models.cases()
ALONE = {"jax", "numpy"}


@pytest.fixture(autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def packages(source):
    """What a text imports that Python itself has not."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def everything():
    uses = ", ".join(f"F.{name}" for name in F.__all__)
    text = f"import fnlearn.functional as F\n\n\ndef apply():\n    return [{uses}]\n"
    source = with_functions(text)
    assert packages(source) <= ALONE
    return imported(source, "everything").F


def test_every_function_can_be_written_out(everything):
    """With its arguments; its types may be called otherwise."""
    for name in F.__all__:
        ours, theirs = (inspect.signature(getattr(where, name)).parameters for where in (F, everything))
        assert list(ours) == list(theirs)
        assert [p.kind for p in ours.values()] == [p.kind for p in theirs.values()]


def test_derivatives_come_with_them(everything):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 4, 6, 6)), jnp.float32)
    weight = jnp.ones((4, 2, 3, 3))
    for run in (
        lambda f, x: f.conv2d(x, weight, padding=1, groups=2),
        lambda f, x: f.rms_norm(x, (6,)),
        lambda f, x: f.max_pool2d(x, 2),
        lambda f, x: f.softmax(x, -1),
        lambda f, x: f.dropout(x, 0.5, True, key=jax.random.key(0)),
        lambda f, x: f.lstm(x[0], None, [jnp.ones((8, 6)), jnp.ones((8, 2)), jnp.ones(8), jnp.ones(8)])[0],
    ):
        ours, theirs = (jax.value_and_grad(lambda x, f=f, run=run: (run(f, x) ** 2).sum())(x) for f in (F, everything))
        assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), ours, theirs))


@pytest.mark.parametrize("name", ["pictures", "decoder", "recurrent", "hostile"])
def test_a_model_is_the_same(name):
    module, inputs, _ = CASES[name]
    plain, alone = (port.convert(module, inputs, standalone=standalone) for standalone in (False, True))
    assert packages(plain.source) <= {*ALONE, "fnlearn"}
    assert packages(alone.source) <= ALONE
    args = [jnp.asarray(tree.as_numpy(x)) for x in jax.tree.leaves(inputs)]
    for options in ({}, {"train": True, "key": jax.random.key(0)}):
        ours, theirs = (made.apply(made.params, made.buffers, *args, **options) for made in (plain, alone))
        assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), ours, theirs))


def test_names_of_the_model_and_of_the_functions_are_kept_apart():
    text = "import fnlearn.functional as F\n\n\ndef softmax(x):\n    return F.softmax(x, -1) + F.linear(x, x)\n"
    module = imported(with_functions(text), "text")
    x = jnp.eye(2)
    assert (module.softmax(x) == F.softmax(x, -1) + F.linear(x, x)).all()
