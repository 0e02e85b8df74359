"""Every optimizer against torch's: all that torch's own database tries and more, a hundred steps, step by step."""

import inspect
import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fnlearn import optim
from fnlearn.equivalence import assert_equivalent
from tests.optim.trajectories import CLASSES, INFOS, REAL, apart, gradients, jax_run, start, torch_run
from tests.reference import precision

WITHIN = 1e-12  # of the way that the parameters go, in the wide dtypes
WIDE = ("float64", "complex128")


def named(info):
    return info.optim_cls.__name__.lower()


NAMES = [name for name in CLASSES if name != "lbfgs"]
DATABASE = [
    (named(info), inputs.kwargs)
    for info in INFOS
    for inputs in info.optim_inputs_func(device="cpu")
    if info.optim_cls is not torch.optim.LBFGS
]
CHOICES = {"momentum": (0, 0.9), "dampening": (0, 0.3), "weight_decay": (0, 0.1), "nesterov": (False, True)}
SGD = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
REFUSED = [options for options in SGD if options["nesterov"] and (options["dampening"] or not options["momentum"])]
MORE = [
    *(("sgd", {**options, "maximize": True, "lr": 0.05}) for options in SGD if options not in REFUSED),
    ("adam", {"amsgrad": True, "weight_decay": 0.2, "decoupled_weight_decay": True, "betas": (0.8, 0.95)}),
    ("adam", {"betas": (0.0, 0.0), "eps": 1e-3, "lr": 0.1}),
    ("adamw", {"lr": 0.05, "betas": (0.95, 0.98), "maximize": True}),
    ("adamax", {"betas": (0.5, 0.9), "eps": 1e-4}),
    (
        "nadam",
        {"betas": (0.8, 0.99), "lr": 0.05, "maximize": True, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    ("radam", {"betas": (0.8, 0.9), "lr": 0.05}),
    ("radam", {"betas": (0.9, 0.9999), "lr": 0.05}),
    ("adagrad", {"lr": 0.2, "lr_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3}),
    ("adadelta", {"rho": 0.5, "eps": 1e-3, "lr": 0.3}),
    ("rmsprop", {"momentum": 0.9, "alpha": 0.9, "eps": 1e-3}),
    ("rmsprop", {"centered": True, "momentum": 0.5, "maximize": True}),
    ("rprop", {"lr": 0.03, "etas": (0.3, 1.4), "step_sizes": (1e-3, 0.2)}),
    ("asgd", {"lr": 0.1, "lambd": 0.01, "alpha": 0.6, "t0": 20}),
    ("adafactor", {"lr": 0.1, "eps": (1e-4, 1e-2), "d": 2.0, "weight_decay": 0.1}),
    ("muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw", "lr": 0.02}),
    ("sparseadam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-4}),
]


def label(value):
    return value if isinstance(value, str) else ",".join(f"{k}={v}" for k, v in value.items()) or "defaults"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options"), [*DATABASE, *MORE], ids=label)
def test_trajectory(name, options, dtype):
    """float64 to 1e-12 of the way, but for Muon; float32 by the yardstick."""
    check(name, options, dtype, torch_run(name, options, "float64"))


def check(name, options, dtype, wide):
    with precision("float64" if dtype in WIDE else dtype):
        found = jax_run(name, options, dtype)
    if dtype in WIDE:
        near = 1e-3 if name == "muon" else WITHIN  # whose bfloat16 moves in jumps, as a sum's order decides
        assert apart(wide, found, start(name, dtype == "complex128")) < near
    else:
        assert_equivalent(torch_run(name, options, dtype), found, wide)


@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in REAL])
def test_complex_parameters(name, dtype):
    """Two real ones each, as torch has them."""
    check(name, {}, dtype, torch_run(name, {}, "complex128"))


@pytest.mark.parametrize("name", REAL)
def test_complex_parameters_are_refused_where_torch_has_none(name):
    with pytest.raises(TypeError, match=f"{name} has no complex parameters"):
        getattr(optim, name)().init({"weight": jnp.ones((2, 2), "complex64")})


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_gradient_leaves_its_parameter_alone(name):
    """Its own count of steps stands still too."""
    missing = "bias" if "bias" in start(name) else "weight"
    wide = torch_run(name, {}, "float64", missing=missing)
    with precision("float64"):
        assert apart(wide, jax_run(name, {}, "float64", missing), start(name)) < WITHIN


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NAMES)
def test_narrow_parameters_keep_their_dtype(name, dtype):
    """They are computed in float32 and rounded, so that they are near the float32 run."""
    expected, found = (jax_run(name, {"lr": 0.01}, each) for each in ("float32", dtype))
    assert {x.dtype for x in found.values()} == {jnp.dtype(dtype)}
    first = {key: np.asarray(x[0], "float64") for key, x in found.items()}
    for key, x in expected.items():
        np.testing.assert_allclose(first[key], x[0], rtol=0.02, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lr", [np.float32(0.05), lambda step: 0.05, None], ids=["array", "schedule", "argument"])
def test_a_rate_in_every_form(name, lr):
    expected = jax_run(name, {"lr": 0.05}, "float32")
    options, extra = ({"lr": 0.05}, {"lr": jnp.float32(0.05)}) if lr is None else ({"lr": lr}, {})
    if name == "rprop" and lr is None:  # whose rate is that of the start alone
        return
    assert_equivalent(expected, jax_run(name, options, "float32", **extra))


@pytest.mark.parametrize("name", NAMES)
def test_a_traced_rate_compiles_once(name):
    traces: list[None] = []
    params = {key: jnp.asarray(x, "float32") for key, x in start(name).items()}
    given = {key: jnp.asarray(x[4], "float32") for key, x in gradients(name).items()}
    optimizer = getattr(optim, name)()

    @jax.jit
    def step(lr, state):
        traces.append(None)
        return optimizer.update(given, state, params, lr=lr)

    norms = [float(optax.tree.norm(step(lr, optimizer.init(params))[0])) for lr in (0.001, 0.002, 0.004)]
    assert len(traces) == 1
    assert norms[0] < norms[1] < norms[2] or name in ("rprop", "asgd")  # which step by what they keep


@pytest.mark.parametrize("name", NAMES)
def test_updates_are_differentiable_and_vectorise(name):
    """The slope by a factor of the gradients is that of finite differences, for several factors at once."""
    params = start(name)
    given = {key: 0.5 + np.abs(x[4]) for key, x in gradients(name).items()}  # the root of 0 has no slope, in torch too
    optimizer = getattr(optim, name)(0.1)

    def size(factor):
        scaled = jax.tree.map(lambda g: factor * jnp.asarray(g), given)
        updates, state = optimizer.update(scaled, optimizer.init(params), jax.tree.map(jnp.asarray, params))
        kept = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
        return sum(jnp.sum(x**2).astype(float) for x in (*jax.tree.leaves(updates), *kept))

    with precision("float64"):
        factors = jnp.asarray([0.5, 1.5])
        slopes, sizes = jax.jit(jax.vmap(jax.grad(size))), jax.jit(jax.vmap(size))
        differences = (sizes(factors + 1e-5) - sizes(factors - 1e-5)) / 2e-5
        slopes = slopes(factors)
    near = 1e-2 if name == "muon" else 1e-4  # whose bfloat16 moves in jumps
    np.testing.assert_allclose(slopes, differences, rtol=near, atol=1e-4)


@pytest.mark.parametrize("options", REFUSED, ids=label)
def test_nesterov_needs_momentum_alone(options):
    with pytest.raises(ValueError, match="Nesterov"):
        torch.optim.SGD([torch.zeros(1)], **options)
    with pytest.raises(ValueError, match="nesterov needs a momentum and no dampening"):
        optim.sgd(**options)


OPTION_ERRORS = [
    (named(info), error.optimizer_error_input.kwargs)
    for info in INFOS
    for error in info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
    if error.optimizer_error_input.kwargs and error.error_type is ValueError
]
FOREACH = [(name, options) for name, options in OPTION_ERRORS if "foreach" in options]  # which has no meaning here
MIXED = [(name, o) for name, o in OPTION_ERRORS if len({torch.is_tensor(b) for b in o.get("betas", ())}) == 2]
INVALID = [row for row in OPTION_ERRORS if row not in FOREACH and row not in MIXED]  # betas of two kinds are fine here


@pytest.mark.parametrize(("name", "options"), INVALID, ids=label)
def test_options_that_torch_refuses_are_refused(name, options):
    with pytest.raises(ValueError, match="must be"):
        getattr(optim, name)(**options)


NUMBERS = ("lr", "eps", "weight_decay", "momentum", "lr_decay", "momentum_decay", "initial_accumulator_value", "rho")
NEGATIVE = [
    (name, option)
    for name in CLASSES
    for option in NUMBERS
    if option in inspect.signature(getattr(optim, name)).parameters
    and (name, option) not in (("adafactor", "eps"), ("muon", "eps"))  # a pair, and one that torch does not look at
]


@pytest.mark.parametrize(("name", "option"), NEGATIVE)
def test_negative_numbers_are_refused(name, option):
    with pytest.raises(ValueError, match=f"{option} must be at least .*, got -1"):
        getattr(optim, name)(**{option: -1})


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_needed(name):
    optimizer = getattr(optim, name)()
    params = {key: jnp.asarray(x, "float32") for key, x in start(name).items()}
    with pytest.raises(ValueError, match="params are needed"):
        optimizer.update(params, optimizer.init(params))


def test_muon_is_for_matrices():
    with pytest.raises(ValueError, match=r"muon is for matrices alone, got a parameter of shape \(3,\)"):
        optim.muon().init({"bias": jnp.ones(3)})


def test_muon_of_larger_matrices():
    """Where torch sums products in another order, numbers of the update round to a neighbour now and then."""
    g = np.random.default_rng(0).standard_normal((48, 80))
    p = torch.nn.Parameter(torch.zeros(48, 80))
    p.grad = torch.tensor(g, dtype=torch.float32)
    torch.optim.Muon([p], lr=1.0).step()
    params = {"w": jnp.zeros((48, 80))}
    optimizer = optim.muon(1.0)
    update = optimizer.update({"w": jnp.asarray(g, "float32")}, optimizer.init(params), params)[0]["w"]
    assert_equivalent(p, update, rtol=1e-7, atol=0.01 * float(p.detach().abs().max()))


def test_the_signatures_are_torchs():
    """Arguments, their order and their defaults."""
    for name, cls in CLASSES.items():
        theirs = list(inspect.signature(cls.__init__).parameters.values())[2:]
        mine = list(inspect.signature(getattr(optim, name)).parameters.values())
        assert [(p.name, p.default, p.kind) for p in mine] == [(p.name, p.default, p.kind) for p in theirs], name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optim.adam(foreach=True, fused=None, capturable=True, differentiable=True)
