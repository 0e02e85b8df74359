"""A layer initialised from a `TorchGenerator` starts from the very numbers that torch's starts from."""

import jax
import numpy as np
import pytest
import torch

from fnlearn import nn, random, tree
from tests.cases.table import R
from tests.layers import LAYERS
from tests.layers.table import LayerCase, layer

SEEDS = (0, 123)
MORE = [  # stacks, lazy layers, and options that change what is drawn
    layer("Transformer", 4, 2, 2, 3, 6, inputs=()),
    layer("Transformer", 4, 2, 1, 1, 6, bias=False, inputs=()),
    layer("MultiheadAttention", 8, 2, add_bias_kv=True, kdim=3, vdim=5, inputs=()),
    layer("LSTM", 3, 4, 2, bidirectional=True, proj_size=2, inputs=()),
    layer("Embedding", 30, 7, padding_idx=-1, inputs=()),
    layer("EmbeddingBag", 30, 7, padding_idx=3, inputs=()),
    layer("Linear", 5, 3, dtype="bfloat16", inputs=()),
    layer("Linear", 5, 3, dtype="float64", inputs=()),
    layer("Linear", 0, 3, inputs=()),
    layer("Embedding", 5, 3, dtype="float16", inputs=()),
    *[layer(f"LazyConv{d}d", 4, 2, groups=2, inputs=(R(2, 6, *[5] * d),)) for d in (1, 2, 3)],
    *[layer(f"LazyConvTranspose{d}d", 4, 2, inputs=(R(2, 3, *[5] * d),)) for d in (1, 2, 3)],
]


def of_torch(case, seed):
    kwargs = {name: getattr(torch, x) if name == "dtype" else x for name, x in case.kwargs.items()}
    torch.manual_seed(seed)
    module = getattr(torch.nn, case.name)(*case.args, **kwargs)
    if case.name.startswith("Lazy"):
        with torch.no_grad():
            module.eval()(*(torch.from_numpy(x).float() for x in case.inputs))
    return {name: tree.as_numpy(x) for name, x in module.state_dict().items()}


def alike(case: LayerCase):
    return str(case._replace(inputs=case.inputs if case.name.startswith("Lazy") else ()))


CASES = {alike(case): case for case in (*LAYERS, *MORE)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES.values(), ids=alike)
def test_starts_from_torchs_numbers(case):
    built = getattr(nn, case.name)(*case.args, **case.kwargs)
    shapes = [jax.ShapeDtypeStruct(x.shape, "float32") for x in case.inputs] if case.name.startswith("Lazy") else []
    for seed in SEEDS:
        expected, generator = of_torch(case, seed), random.TorchGenerator(seed)
        with jax.enable_x64(True):
            params, buffers = built.init(generator, *shapes)
        assert_same(tree.flatten(params) | tree.flatten(buffers), expected)
        assert (generator.get_state() == torch.get_rng_state().numpy()).all(), "the stream stands elsewhere"


def assert_same(mine, theirs):
    assert set(mine) == set(theirs)
    for name, x in theirs.items():
        assert mine[name].dtype == x.dtype, name
        assert np.array_equal(np.asarray(mine[name]), x), name
