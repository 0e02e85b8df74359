"""Stacks of Transformer layers against torch's, which take built layers, and what attention draws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fnlearn.functional as F
from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent
from fnlearn.functional import attention
from tests.cases.table import R
from tests.reference import jax_layer, torch_layer

SRC, TGT = R(5, 2, 4), R(3, 2, 4, seed=1)


def stacks(kind):
    mine = getattr(nn, f"Transformer{kind}")(getattr(nn, f"Transformer{kind}Layer")(4, 2, 8, 0.0), 2, nn.LayerNorm(4))
    built = getattr(torch.nn, f"Transformer{kind}Layer")(4, 2, 8, 0.0)
    return mine, getattr(torch.nn, f"Transformer{kind}")(built, 2, torch.nn.LayerNorm(4))


def read_off(kind):
    """Both stacks of one layer of torch's, all its options other than the defaults."""
    options = {"layer_norm_eps": 1e-3, "batch_first": True, "norm_first": True, "bias": False}
    built = getattr(torch.nn, f"Transformer{kind}Layer")(4, 2, 8, 0.0, torch.nn.functional.gelu, **options)
    return getattr(nn, f"Transformer{kind}")(built, 2), getattr(torch.nn, f"Transformer{kind}")(built, 2)


SIZES = (4, 2, 1, 2, 8, 0.0)
STACKS = [
    (lambda: read_off("Encoder"), (SRC,)),
    (lambda: read_off("Decoder"), (SRC[:2], TGT[:2])),
    (lambda: stacks("Encoder"), (SRC,)),
    (lambda: stacks("Decoder"), (TGT, SRC)),
    (lambda: (nn.Transformer(*SIZES), torch.nn.Transformer(*SIZES)), (SRC, TGT)),
]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(
    ("build", "inputs"), STACKS, ids=["encoder of torch", "decoder of torch", "encoder", "decoder", "transformer"]
)
def test_stacks(build, inputs):
    """Names in torch's order, shapes, outputs and gradients."""
    layer, module = build()
    params, _ = layer.init(jax.random.key(0))
    shapes = {name: x.shape for name, x in tree.flatten(params).items()}
    assert list(shapes.items()) == [(name, tuple(p.shape)) for name, p in module.named_parameters()]
    mine = jax_layer(layer, module, inputs, "float32", True)
    assert_equivalent(
        torch_layer(module, inputs, "float32"),
        mine,
        torch_layer(module, inputs, "float64", seen="float32"),
    )


def test_attention_in_chunks_is_attention(monkeypatch):
    """Queries taken chunk by chunk, with every kind of mask, give the same values and gradients."""
    q, k, v = (jnp.asarray(R(2, 7, 3, seed=i), "float32") for i in range(3))
    masks = [{}, {"is_causal": True}, {"attn_mask": jnp.asarray(R(7, 7, seed=4), "float32")}]

    def answers(options):
        return jax.value_and_grad(lambda *x: F.scaled_dot_product_attention(*x, **options).sum(), (0, 1, 2))(q, k, v)

    whole = [answers(options) for options in masks]
    monkeypatch.setattr(attention, "MANY_SCORES", 28)  # chunks of one query each
    assert_equivalent({"out": whole}, {"out": [answers(options) for options in masks]})


MANY = [jax.ShapeDtypeStruct((2, 4, 2048, 8), "float32")] * 3  # 2 ** 25 scores
MOST = [jax.ShapeDtypeStruct((257, 2048, 8), "float32")] * 3  # more than 2 ** 30


def attention_gradient(*x, **options):
    return jax.grad(lambda *x: F.scaled_dot_product_attention(*x, **options).sum(), (0, 1, 2))(*x)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=["whole", "causal"])
@pytest.mark.parametrize("function", [F.scaled_dot_product_attention, attention_gradient], ids=["value", "gradient"])
def test_only_a_cpu_takes_many_queries_in_turn(function, options):
    """Elsewhere the scores are computed at once, and again for the gradient, up to 2 ** 30 of them."""

    def program(platform, x, f=function):
        return jax.jit(partial(f, **options)).trace(*x).lower(lowering_platforms=(platform,)).as_text()

    assert "stablehlo.while" in program("cpu", MANY)
    assert "stablehlo.while" not in program("cuda", MANY)
    assert "stablehlo.while" in program("cuda", MOST)
    of_each = jax.vmap(lambda *x: function(*x, **options))
    assert "stablehlo.while" not in program("cuda", [jax.ShapeDtypeStruct((2, *x.shape), x.dtype) for x in MANY],
                                            lambda *x, **_: of_each(*x))  # fmt: skip


def test_attention_elsewhere_keeps_no_scores():
    """What the gradient takes from the forward pass is the inputs' size, on any machine."""
    kept = jax.eval_shape(lambda *x: jax.vjp(F.scaled_dot_product_attention, *x)[1], *MANY)
    assert sum(x.size for x in jax.tree.leaves(kept)) < 20 * MANY[0].size


@pytest.mark.parametrize("form", ["chunks", "whole"])
def test_many_scores_in_both_forms(form, monkeypatch, x64):
    """The same values and gradients as few, alone, compiled and over a batch; and dropout's key draws."""
    q, k, v = (jnp.asarray(R(3, 2, 7, 3, seed=i)) for i in range(3))
    mask = jnp.asarray(R(7, 7, seed=4))

    def loss(q, k, v, m, **options):
        return (F.scaled_dot_product_attention(q, k, v, m, **options) ** 2).sum()

    def answers():
        alone = jax.value_and_grad(loss, (0, 1, 2, 3))
        return [way(q, k, v, mask) for way in (alone, jax.jit(alone), jax.vmap(alone, (0, 0, 0, None)))]

    few = answers()
    monkeypatch.setattr(attention, "MANY_SCORES", 28)
    if form == "whole":  # as other machines have it
        monkeypatch.setattr(attention.lax, "platform_dependent", lambda *x, cpu, cuda, default: default(*x))
    assert_equivalent({"out": few}, {"out": answers()})

    dropped = partial(F.scaled_dot_product_attention, q, k, jnp.ones((3, 2, 7, 1)), dropout_p=0.5)
    one, same, other = (dropped(key=jax.random.key(seed)) for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
    assert jnp.isfinite(jax.grad(lambda q: loss(q, k, v, None, dropout_p=0.5, key=jax.random.key(0)))(q)).all()


@pytest.mark.parametrize("lengths", [(8, 8), (7, 7), (6, 9)], ids=str)
@pytest.mark.parametrize("options", [{}, {"is_causal": True, "scale": 0.3}], ids=["plain", "causal"])
def test_attention_by_one_kernel(lengths, options, monkeypatch):
    """What cuDNN's kernel is given and what is made of its answer, with JAX's own attention in its place."""
    calls, plain = [], jax.nn.dot_product_attention

    def kernel(*x, implementation, **given):
        calls.append(implementation)
        if any(each.shape[1] % 2 for each in x):
            raise NotImplementedError("odd lengths, as cuDNN does where it has gradients")
        return plain(*x, **given)

    monkeypatch.setattr(jax.nn, "dot_product_attention", kernel)
    monkeypatch.setattr(attention, "MANY_SCORES", 28)
    monkeypatch.setattr(attention.lax, "platform_dependent", lambda *x, cpu, cuda, default: cuda(*x))
    q, k, v = (R(2, 2, length, 8, seed=i) for i, length in enumerate((lengths[0], *lengths[1:] * 2)))
    of_out = R(2, 2, lengths[0], 8, seed=3)

    def theirs(dtype, seen=torch.bfloat16):
        x = [torch.from_numpy(np.asarray(a)).to(seen).to(dtype).requires_grad_() for a in (q, k, v)]
        out = torch.nn.functional.scaled_dot_product_attention(x[0], x[1], x[2], **options)
        gradients = torch.autograd.grad(out, x, torch.from_numpy(np.asarray(of_out)).to(seen).to(dtype))
        return {"out": out.detach(), "gradients": list(gradients)}

    x = [jnp.asarray(a, jnp.bfloat16) for a in (q, k, v)]
    out, pull = jax.vjp(partial(F.scaled_dot_product_attention, **options), *x)
    mine = {"out": out, "gradients": list(pull(jnp.asarray(of_out, jnp.bfloat16)))}
    assert set(calls) == (set() if options and lengths[0] != lengths[1] else {"cudnn"})
    assert_equivalent(theirs(torch.bfloat16), mine, theirs(torch.float64))


def test_attention_drops_and_scales_its_weights():
    """With values 1, a query's result is the share of the weights that were kept over that expected."""
    q, v = jnp.zeros((1000, 4)), jnp.ones((50, 1))
    out = F.scaled_dot_product_attention(q, jnp.zeros((50, 4)), v, dropout_p=0.3, key=jax.random.key(0))
    kept = np.asarray(out) * 0.7 * 50
    np.testing.assert_allclose(kept, kept.round(), atol=1e-3)
    assert abs(kept.mean() / 50 - 0.7) < 5 * (0.3 * 0.7 / 50_000) ** 0.5


def test_multi_head_attention_draws_in_training_only():
    layer, x = nn.MultiheadAttention(4, 2, dropout=0.5), jnp.asarray(SRC, "float32")
    params, buffers = layer.init(jax.random.key(0))
    (_, weights), _ = layer.apply(
        params, buffers, x, x, x, train=True, key=jax.random.key(1), average_attn_weights=False
    )
    assert 0.2 < float((weights == 0).mean()) < 0.8
    (_, weights), _ = layer.apply(params, buffers, x, x, x)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="pass key="):
        layer.apply(params, buffers, x, x, x, train=True)


def test_causal_mask_is_torchs():
    mine = nn.Transformer.generate_square_subsequent_mask(4)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(mine, torch.nn.Transformer.generate_square_subsequent_mask(4).numpy())


def test_transformer_starts_from_xaviers_distribution():
    params, _ = nn.Transformer(16, 2, 1, 1, 40).init(jax.random.key(0))
    for name, x in tree.flatten(params).items():
        if x.ndim > 1:
            bound = (6 / sum(x.shape)) ** 0.5
            assert 0.9 * bound < float(jnp.abs(x).max()) <= bound, name


def test_adaptive_softmax_gives_log_probabilities_and_classes():
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], 2.0)
    params = tree.unflatten({k: jnp.asarray(v.detach().numpy()) for k, v in module.state_dict().items()})
    layer, x = nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], 2.0), R(7, 8).astype("float32")
    log_p, _ = layer.apply(params, {}, x, method="log_prob")
    assert_equivalent(module.log_prob(torch.from_numpy(x)).detach(), log_p)
    likeliest, _ = layer.apply(params, {}, x, method="predict")
    np.testing.assert_array_equal(likeliest, module.predict(torch.from_numpy(x)).numpy())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.MultiheadAttention(5, 2), "num_heads must divide"),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), "activation must be 'relu', 'gelu'"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 10, [6, 3]), "cutoffs must be rising"),
        (lambda: nn.LinearCrossEntropyOptions(acc_policy="fast"), "acc_policy must be one of"),
        (lambda: nn.LinearCrossEntropyOptions(chunking_method="rows"), "chunking_method must be"),
    ],
)
def test_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()
