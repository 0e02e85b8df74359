"""Whether the source that is written is the model it was written from."""

import ast
import builtins
import copy
import enum

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from fnlearn import equivalence, port, tree
from fnlearn.equivalence import assert_equivalent
from tests.port import models


@pytest.fixture(autouse=True)
def promotion():
    """Source as people write it: a bias is added to rows, and numbers are promoted as numpy does."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


CASES = models.cases()
PORTS: dict[str, port.Port] = {}


def ported(name):
    module, inputs, _ = CASES[name]
    if name not in PORTS:
        PORTS[name] = port.convert(module, inputs)
    return PORTS[name]


def pair(name):
    made = ported(name)
    return equivalence.pair(CASES[name][0], made.apply, made.params, made.buffers)


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_buffers(name):
    answer = equivalence.forward(pair(name), CASES[name][1])
    assert answer.ok, answer


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    answer = equivalence.backward(pair(name), CASES[name][1])
    assert answer.ok, answer


@pytest.mark.parametrize("name", CASES)
def test_other_sizes(name):
    answer = equivalence.forward(pair(name), CASES[name][2])
    assert answer.ok, answer


def test_dropout_in_place_has_one_text_for_both_modes():
    source = ported("drops in place").source
    assert "if train:" not in source
    assert source.count("F.linear") == 1


@pytest.mark.parametrize("name", CASES)
def test_names_are_those_of_the_state_dict(name):
    module, made = CASES[name][0], ported(name)
    tied = {"head.weight"} if name == "decoder" else set()
    assert set(tree.flatten(made.params)) == {n for n, _ in module.named_parameters()}
    assert set(tree.flatten(made.params) | tree.flatten(made.buffers)) == set(module.state_dict()) - tied


@pytest.mark.parametrize("name", CASES)
def test_the_source_imports_jax_and_functional_alone(name):
    imports = [
        node for node in ast.walk(ast.parse(ported(name).source)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert {alias.name for node in imports for alias in node.names} <= {"jax", "jax.numpy", "fnlearn.functional"}


def test_a_mask_is_drawn_anew_for_every_layer_and_key():
    made = port.convert(nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)), (torch.ones(64, 64),))
    out = [made.apply({}, {}, jnp.ones((64, 64)), train=True, key=jax.random.key(seed))[0] for seed in (0, 0, 1)]
    assert (out[0] == out[1]).all()
    assert (out[0] != out[2]).any()
    assert 0.2 < (out[0] > 0).mean() < 0.3  # a quarter is left by two masks, a half by the same one twice


TEXT = """\
def attention(params, x, *, train=False, key=None):  # tests.port.models.Attention
    B, T = x.shape[:2]
    key_0, key_1 = F.split_key(key, 2)
    # queries, keys and values of all heads at once
    q, k, v = jnp.split(F.linear(x, **params["qkv"]), 3, axis=2)
    q = q.reshape(B, T, 2, 4).swapaxes(1, 2)  # (B, heads, T, size)
    k = k.reshape(B, T, 2, 4).swapaxes(1, 2)
    v = v.reshape(B, T, 2, 4).swapaxes(1, 2)
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 if train else 0, is_causal=True, key=key_0)
    y = y.swapaxes(1, 2).reshape(B, T, 8)
    return F.dropout(F.linear(y, **params["out"]), 0.1, train, key=key_1)


def block(params, x, *, train=False, key=None):  # tests.port.models.Block
    return x + attention(params["attention"], F.layer_norm(x, (8,), **params["norm"]), train=train, key=key)


def decoder(params, ids, *, train=False, key=None):  # tests.port.models.Decoder
    key_0, key_1 = F.split_key(key, 2)
    x = F.embedding(ids, **params["tokens"]) + F.embedding(jnp.arange(ids.shape[1]), **params["places"])
    x = block(params["blocks"]["0"], x, train=train, key=key_0)
    x = block(params["blocks"]["1"], x, train=train, key=key_1)
    return F.linear(x, **params["tokens"])
"""


def test_the_text_is_what_a_person_would_write():
    assert TEXT in ported("decoder").source


def test_equal_modules_share_a_function_and_numbers_are_arguments():
    source = ported("pictures").source
    assert source.count("def residual(") == 1
    assert "def residual(params, buffers, x, *, stride, train=False):" in source
    assert 'residual(params["blocks"]["1"], buffers["blocks"]["1"], x, stride=2, train=train)' in source


def test_another_constant_is_refused():
    module, inputs, _ = CASES["answers"]
    made = port.convert(module, inputs)
    with pytest.raises(ValueError, match=r"ported with scale=2\.0, got 3"):
        made.apply(made.params, made.buffers, {"x": jnp.ones((2, 3))}, 3)


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


class Item(nn.Module):
    def forward(self, x):
        return x * x.max().item()


class Bounds(nn.Module):
    def forward(self, x):
        return x[: x.argmax()]


class Selects(nn.Module):
    def forward(self, x):
        return x[x > 0]


class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


class Derivative(nn.Module):
    def forward(self, x):
        return Own.apply(x)


class Casts(nn.Module):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return x @ x.mT


class Unknown(nn.Module):
    def forward(self, x):
        return torch.special.bessel_y1(x) + torch.special.airy_ai(x)


REFUSED = {
    "a branch": (Branches(), r"inner .*needs a tensor's numbers"),
    "an item": (Item(), r"inner .*item\(\) needs a tensor's numbers"),
    "a slice": (Bounds(), r"inner .*a slice's bound is a tensor's number"),
    "a selection": (Selects(), r"inner .*use torch\.where"),
    "a derivative of its own": (Derivative(), r"inner .*jax\.custom_vjp"),
    "autocast": (Casts(), r"inner .*\.to\(torch\.bfloat16\)"),
    "what JAX has not": (Unknown(), r"(?s)1 of 3 calls.*y1 \(aten\.special_bessel_y1\) at .*inner.*airy_ai .*inner"),
}


class Wrong(nn.Module):
    def forward(self, x):
        return x @ x


def test_what_torch_refuses_says_where():
    with pytest.raises(RuntimeError) as told:
        port.convert(holder_of(Wrong()), (torch.ones(2, 3),))
    assert "matmul at" in told.value.__notes__[0]
    assert "in inner (Wrong)" in told.value.__notes__[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_ported_says_where_and_why(name):
    module, message = REFUSED[name]
    with pytest.raises(port.PortError, match=message) as told:
        port.convert(nn.Sequential(nn.Identity()).append(holder_of(module)), (torch.ones(2, 3),))
    assert "test_convert.py" in str(told.value)


def holder_of(module):
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, x):
            return self.inner(x)

    return Holder()


def test_sparse_and_foreign_tensors_are_refused():
    with pytest.raises(port.PortError, match="sparse_coo"):
        port.convert(nn.Linear(2, 2), (torch.eye(2).to_sparse(),))
    with pytest.raises(port.PortError, match=r"model\.cpu\(\)"):
        port.convert(nn.Linear(2, 2, device="meta"), (torch.ones(2, 2),))


def test_training_alone_can_be_out_of_reach():
    class Layers(nn.Module):
        def forward(self, x):
            return x if self.training and torch.rand(()) < 0.5 else -x

    made = port.convert(Layers(), (torch.ones(2),))
    assert (made.apply({}, {}, jnp.ones(2))[0] == -1).all()
    with pytest.raises(ValueError, match="evaluation alone"):
        made.apply({}, {}, jnp.ones(2), train=True)


def test_the_model_stays_as_it_is():
    module, inputs, _ = CASES["average"]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    mode = module.training
    port.convert(module, inputs)
    assert module.training is mode
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert len([1, 2]) == 2
    assert torch.equal(nn.Identity()(inputs[0]), inputs[0])


def test_torch_is_as_before():
    """Also after an error."""
    parts = [
        (torch.autograd.Function, "apply"),
        (nn.Module, "__call__"),
        (torch.utils.checkpoint, "checkpoint"),
        (torch.nn.modules.transformer, "_detect_is_causal_mask"),
        (torch.distributions.Distribution, "_validate_args"),
        (torch.jit.ScriptFunction, "__call__"),
        (torch.autograd, "grad"),
        (torch, "FloatTensor"),
        (torch, "finfo"),
        (builtins, "len"),
    ]
    flags = torch.backends.opt_einsum.enabled, torch.backends.mkldnn.enabled
    before = [vars(owner)[name] for owner, name in parts]
    port.convert(nn.Linear(3, 3), (torch.ones(2, 3),))
    with pytest.raises(port.PortError):
        port.convert(Item(), (torch.ones(2, 3),))
    assert [vars(owner)[name] for owner, name in parts] == before
    assert (torch.backends.opt_einsum.enabled, torch.backends.mkldnn.enabled) == flags
    assert Own.apply(torch.ones(1)) == 1


class NormWithoutGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        with torch.no_grad():
            return self.norm(x)


def test_a_normalisation_without_gradient_has_none():
    made = port.convert(NormWithoutGradient(), (torch.randn(3, 4),))
    x = jnp.arange(12.0).reshape(3, 4)
    slopes = jax.grad(lambda params: made.apply(params, made.buffers, x, train=True)[0].sum())(made.params)
    assert not any(slope.any() for slope in jax.tree.leaves(slopes))


class Axis(enum.IntEnum):
    LAST = 1


class Mode(enum.StrEnum):
    SUM = "su{m}"


class Numbers(nn.Module):
    """Numbers and words that are not Python's own."""

    def forward(self, x, axis=Axis.LAST, mode=Mode.SUM):
        return (x * np.sqrt(2.0) + np.float32(3)).sum(axis) * np.int64(2) if mode == "su{m}" else x


def test_numbers_of_other_classes_are_pythons():
    x = torch.randn(3, 4)
    made = port.convert(Numbers(), (x,))
    assert_equivalent(Numbers()(x), made.apply({}, {}, jnp.asarray(x.numpy()))[0])
    with pytest.raises(ValueError, match="the model was ported with axis=1, got 0"):
        made.apply({}, {}, jnp.ones((3, 4)), axis=0)
    with pytest.raises(ValueError, match=r"with mode=.su\{m\}., got .mean."):
        made.apply({}, {}, jnp.ones((3, 4)), mode="mean")


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 4))

    def forward(self, hidden):
        dtype = hidden.dtype
        hidden = hidden.to(torch.float32)
        hidden = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * hidden.to(dtype) + (hidden > 0).to(dtype)


class Cast(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x):
        return x.cos().to(self.weight.dtype)


class Tied(nn.Module):
    """A weight that is another module's too, whose dtype this module follows."""

    def __init__(self):
        super().__init__()
        self.norm = RMSNorm()
        self.cast = Cast(self.norm.weight)

    def forward(self, hidden):
        return self.cast(self.norm(hidden).half())


def test_dtypes_of_tied_weights():
    module, x = Tied(), torch.randn(3, 4)
    made = port.convert(module, (x,))
    assert_equivalent(module(x), made.apply(made.params, {}, jnp.asarray(x.numpy()))[0])


class Weighted(nn.Module):
    """A loss whose weight torch forgets to tell a mode of."""

    def forward(self, x, y):
        heavy = nn.functional.l1_loss(x, y, weight=x.sigmoid())  # type: ignore[call-arg]
        return heavy, nn.functional.l1_loss(x, y, reduction="sum")


def test_a_weight_of_l1_loss_is_not_forgotten():
    x, y = torch.randn(3, 4), torch.randn(3, 4)
    made = port.convert(Weighted(), (x, y))
    mine, _ = made.apply({}, {}, jnp.asarray(x.numpy()), jnp.asarray(y.numpy()))
    assert_equivalent(Weighted()(x, y), mine)


class Beside(nn.Module):
    def forward(self, x, shift):
        return torch.tanh(x) + shift


class Passes(nn.Module):
    """A value without a name of its own, which is passed on twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Beside(), Beside()

    def forward(self, x):
        kept = {"all": x.cumsum(0)}
        y = self.first(x, kept["all"])
        return self.second(y, kept["all"])


def test_what_has_no_name_is_called_as_it_is_passed_on():
    made, x = port.convert(Passes(), (torch.ones(2, 3),)), torch.randn(4, 3)
    assert "    shift = jnp.cumsum(x, axis=0)" in made.source.splitlines()
    assert_equivalent(Passes()(x), made.apply({}, {}, jnp.asarray(x.numpy()))[0])


class Nothing(nn.Module):
    """Dropouts of nothing, by a module and by functions."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.0)

    def forward(self, x):
        x = nn.functional.dropout(self.drop(x), 0.0, self.training) * 2
        return torch.dropout(x, 0.0, self.training) + nn.functional.dropout(x, p=0.0 if x.ndim else 0.5)


def test_dropouts_of_nothing_are_left_out():
    made, x = port.convert(Nothing(), (torch.ones(2, 3),)), jnp.ones((2, 3))
    assert "drop" not in made.source
    assert (made.apply({}, {}, x, train=True)[0] == 4).all()


class Masked(nn.Module):
    """Numbers that a dtype decides: of a value's, and of one that is named."""

    def forward(self, x):
        low = torch.finfo(x.dtype).min
        y = torch.where(x > 0, x, torch.tensor(low, dtype=x.dtype)).softmax(-1)
        y = y + torch.finfo(torch.float32).eps + x.clamp(max=torch.finfo(x.dtype).max)
        return y[:, : range(torch.finfo(torch.float32).bits)[2]]


def test_what_a_dtype_decides_follows_the_dtype():
    x = torch.tensor([[1.0, -1.0, 2.0], [-1.0, -2.0, -3.0]])
    made = port.convert(Masked(), (x,))
    assert "float(jnp.finfo(x.dtype).min)" in made.source
    assert "float(jnp.finfo(jnp.float32).eps)" in made.source
    for dtype in (torch.float32, torch.bfloat16):
        mine, _ = made.apply({}, {}, jnp.asarray(x.numpy()).astype(str(dtype).removeprefix("torch.")))
        assert_equivalent(Masked()(x.to(dtype)), mine)


class Follows(RMSNorm):
    """Dtypes of values in between, by an attribute or by a name, beside ones that are named themselves."""

    def forward(self, x):
        gate = x.sigmoid()
        wide = gate.float().softmax(-1).to(gate.dtype)
        whose, device = wide.dtype, wide.device
        wide = (self.weight.to(torch.float) * wide.to(torch.float32)).to(device=device, dtype=whose)
        return wide + torch.full((4,), 0.1, dtype=gate.dtype) + gate.to(torch.float32).to(x)


@pytest.mark.parametrize("kind", [RMSNorm, Follows])
def test_casts_hold_for_other_dtypes_than_the_example(kind):
    """What the source casts to a dtype is cast to it; what it casts to the dtype of a value follows that."""
    module, x = kind(), torch.randn(3, 4)
    made = port.convert(module, (x,))
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        params = jax.tree.map(lambda array, name=name: array.astype(name), made.params)
        mine, _ = made.apply(params, {}, jnp.asarray(x.numpy()).astype(name))
        assert_equivalent(copy.deepcopy(module).to(dtype)(x.to(dtype)), mine)
