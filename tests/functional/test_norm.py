"""The siblings that return what torch writes in place, and values that no table holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import fnlearn.functional as F
from fnlearn import nn
from fnlearn.equivalence import assert_equivalent
from tests.cases.table import C, R


@pytest.mark.parametrize("update", [F.batch_norm_update, F.instance_norm_update])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_running_statistics_are_those_that_torch_writes(update, dtype):
    arrays = [R(3, 4, 5).astype("float32"), R(4).astype("float32"), abs(R(4, seed=1)).astype("float32")]
    theirs = [torch.tensor(x).to(getattr(torch, dtype)) for x in arrays]
    mine = [jnp.asarray(x, dtype) for x in arrays]
    name = update.__name__.removesuffix("_update")
    out = getattr(TF, name)(*theirs, None, None, True, 0.3)
    new = update(*mine, None, None, True, 0.3)
    assert_equivalent([out, *theirs[1:]], list(new))
    np.testing.assert_array_equal(getattr(F, name)(*mine, None, None, True, 0.3), new[0])


def test_running_statistics_have_no_derivative():
    x, mean, var = jnp.asarray(R(3, 4), "float32"), jnp.zeros(4), jnp.ones(4)
    slopes = jax.grad(lambda mean, var: F.batch_norm(x, mean, var).sum(), (0, 1))(mean, var)
    assert not any(slope.any() for slope in slopes)


def test_float32_parameters_beside_a_narrow_input():
    x, weight = R(5, 4).astype("float32"), R(4).astype("float32")
    mine = F.layer_norm(jnp.asarray(x, "bfloat16"), (4,), weight, weight)
    theirs = TF.layer_norm(torch.from_numpy(x).bfloat16(), (4,), torch.from_numpy(weight), torch.from_numpy(weight))
    assert_equivalent(theirs, mine)


def test_momentum_none_averages_all_batches():
    layer, module = nn.BatchNorm1d(4, momentum=None), torch.nn.BatchNorm1d(4, momentum=None)
    params, buffers = layer.init(jax.random.key(0))
    for seed in range(3):
        x = R(6, 4, seed=seed).astype("float32")
        _, buffers = layer.apply(params, buffers, x, train=True)
        module(torch.from_numpy(x))
    expected = {name: b.to(torch.int32) if b.dtype == torch.int64 else b for name, b in module.named_buffers()}
    assert_equivalent(expected, buffers)


def test_lazy_layers_work_from_parameters_made_elsewhere():
    params, buffers = nn.BatchNorm2d(4).init(jax.random.key(0))
    x = jnp.asarray(R(2, 4, 3, 3), "float32")
    lazy, known = (
        make().apply(params, buffers, x, train=True) for make in (nn.LazyBatchNorm2d, lambda: nn.BatchNorm2d(4))
    )
    assert_equivalent(known[0], lazy[0])
    for name in ("BatchNorm", "InstanceNorm"):
        for d in (1, 2, 3):
            with pytest.raises(ValueError, match="channels from an example"):
                getattr(nn, f"Lazy{name}{d}d")().init(jax.random.key(0))


@pytest.mark.parametrize("update", [F.embedding_update, F.embedding_bag_update])
def test_max_norm_scales_the_rows_used_in_the_table(update):
    index, table = C(6, 2, 2), R(6, 4).astype("float32")
    theirs = torch.from_numpy(table.copy())
    name = update.__name__.removesuffix("_update")
    out = getattr(TF, name)(torch.from_numpy(index), theirs, max_norm=1.5)
    mine, new = update(jnp.asarray(index), table, max_norm=1.5)
    assert_equivalent([out, theirs], [mine, new])
    assert (np.asarray(new) == table).all(1).any()  # rows not used stay
    np.testing.assert_array_equal(getattr(F, name)(index, table, max_norm=1.5), mine)


def test_index_outside_of_the_table_is_nan():
    table = jnp.ones((3, 2))
    assert jnp.isnan(F.embedding(jnp.array([3, -1]), table)).all()
    assert jnp.isnan(F.embedding_bag(jnp.array([[0, 3]]), table)).all()


def test_embedding_bag_divides_by_each_rows_own_count():
    index, offsets, table = jnp.array([0, 0, 0, 5]), jnp.array([0, 2]), jnp.ones((6, 2))
    slope = jax.grad(lambda t: F.embedding_bag(index, t, offsets, mode="sum", scale_grad_by_freq=True).sum())(table)
    np.testing.assert_allclose(slope[:, 0], [1, 0, 0, 0, 0, 1], rtol=1e-6)


def test_one_hot_needs_known_values_to_count_the_classes():
    with pytest.raises(ValueError, match="num_classes must be given under jit"):
        jax.jit(F.one_hot)(jnp.arange(3))
    np.testing.assert_array_equal(jax.jit(lambda x: F.one_hot(x, 3))(jnp.arange(3)), np.eye(3))


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("training", [True, False])
def test_tracked_normalisation_gives_back_the_buffers_of_the_module(training, momentum):
    module = torch.nn.BatchNorm2d(4, momentum=momentum).train(training)
    buffers = {"running_mean": jnp.zeros(4), "running_var": jnp.ones(4), "num_batches_tracked": jnp.zeros((), int)}
    for seed in range(2):
        x = R(3, 4, 2, 2, seed=seed).astype("float32")
        out, buffers = F.batch_norm_tracked(x, buffers, jnp.ones(4), None, training, momentum)
        assert_equivalent(module(torch.from_numpy(x)), out)
    expected = {name: b.to(torch.int32) if b.dtype == torch.int64 else b for name, b in module.named_buffers()}
    assert_equivalent(expected, buffers)
