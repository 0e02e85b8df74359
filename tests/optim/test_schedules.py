"""Every scheduler of torch's: its rates over 500 steps, momenta with them, read at Python numbers and within jit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as L
from torch.optim.swa_utils import SWALR

from fnlearn import optim
from fnlearn.equivalence import assert_equivalent
from fnlearn.optim import schedules as S
from fnlearn.optim.schedules.step import real

LR, STEPS = 0.3, 500
TOLERANCE = 1e-12  # of the greatest rate

# torch's class, ours, and their arguments after the optimizer and after the rate
TABLE: list[tuple[Any, Any, dict[str, Any]]] = [
    (L.LambdaLR, S.lambda_lr, {"lr_lambda": lambda n: 0.99 ** real(n)}),
    (L.MultiplicativeLR, S.multiplicative_lr, {"lr_lambda": lambda n: 1 - 0.5 / (real(n) + 1)}),
    (L.StepLR, S.step_lr, {"step_size": 30}),
    (L.StepLR, S.step_lr, {"step_size": 1, "gamma": 0.99}),
    (L.MultiStepLR, S.multi_step_lr, {"milestones": [200, 3, 50, 50]}),
    (L.MultiStepLR, S.multi_step_lr, {"milestones": [0, 400], "gamma": 0.5}),
    (L.ConstantLR, S.constant_lr, {}),
    (L.ConstantLR, S.constant_lr, {"factor": 0.2, "total_iters": 70}),
    (L.ConstantLR, S.constant_lr, {"factor": 0.2, "total_iters": 0}),
    (L.LinearLR, S.linear_lr, {}),
    (L.LinearLR, S.linear_lr, {"start_factor": 0.01, "end_factor": 0.7, "total_iters": 300}),
    (L.LinearLR, S.linear_lr, {"start_factor": 0.9, "end_factor": 0.0, "total_iters": 20}),
    (L.LinearLR, S.linear_lr, {"total_iters": 0}),
    (L.ExponentialLR, S.exponential_lr, {"gamma": 0.98}),
    (L.PolynomialLR, S.polynomial_lr, {}),
    (L.PolynomialLR, S.polynomial_lr, {"total_iters": 400, "power": 2.5}),
    (L.CosineAnnealingLR, S.cosine_annealing_lr, {"T_max": 60}),
    (L.CosineAnnealingLR, S.cosine_annealing_lr, {"T_max": 600, "eta_min": 0.01}),
    (L.CosineAnnealingLR, S.cosine_annealing_lr, {"T_max": 7, "eta_min": 0.1}),
    (L.CosineAnnealingWarmRestarts, S.cosine_annealing_warm_restarts, {"T_0": 40}),
    (L.CosineAnnealingWarmRestarts, S.cosine_annealing_warm_restarts, {"T_0": 7, "T_mult": 2, "eta_min": 0.05}),
    (L.CosineAnnealingWarmRestarts, S.cosine_annealing_warm_restarts, {"T_0": 1, "T_mult": 3}),
    (L.CyclicLR, S.cyclic_lr, {"base_lr": 0.01, "max_lr": 0.4, "step_size_up": 40}),
    (L.CyclicLR, S.cyclic_lr,
     {"base_lr": 0.01, "max_lr": 0.4, "step_size_up": 30, "step_size_down": 7, "mode": "triangular2"}),
    (L.CyclicLR, S.cyclic_lr, {"base_lr": 0.01, "max_lr": 0.4, "step_size_up": 11, "mode": "exp_range", "gamma": 0.99}),
    (L.CyclicLR, S.cyclic_lr, {"base_lr": 0.1, "max_lr": 0.4, "step_size_up": 9, "scale_fn": lambda x: 1 / x}),
    (L.CyclicLR, S.cyclic_lr,
     {"base_lr": 0.1, "max_lr": 0.4, "step_size_up": 9, "scale_fn": lambda x: 0.99**x, "scale_mode": "iterations"}),
    (L.CyclicLR, S.cyclic_lr, {"base_lr": 0.1, "max_lr": 0.4, "step_size_up": 9, "step_size_down": 0}),
    (L.OneCycleLR, S.one_cycle_lr, {"max_lr": 0.5, "total_steps": 510}),
    (L.OneCycleLR, S.one_cycle_lr, {"max_lr": 0.5, "epochs": 60, "steps_per_epoch": 10, "anneal_strategy": "linear"}),
    (L.OneCycleLR, S.one_cycle_lr,
     {"max_lr": 0.5, "total_steps": 505, "three_phase": True, "pct_start": 0.4, "div_factor": 9}),
    (L.OneCycleLR, S.one_cycle_lr,
     {"max_lr": 0.5, "total_steps": 505, "three_phase": True, "anneal_strategy": "linear"}),
    (SWALR, S.swalr, {"swa_lr": 0.05}),
    (SWALR, S.swalr, {"swa_lr": 0.5, "anneal_epochs": 200, "anneal_strategy": "linear"}),
    (SWALR, S.swalr, {"swa_lr": 0.5, "anneal_epochs": 0}),
]  # fmt: skip
MOMENTA: dict[Any, Any] = {L.CyclicLR: S.cyclic_momentum, L.OneCycleLR: S.one_cycle_momentum}


def optimizer(lr=LR):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr, momentum=0.5)


def run(scheduler, group, steps=STEPS, metrics=None):
    """Rates and momenta, one at each step of the optimizer."""
    seen = []
    for step in range(steps):
        seen.append((float(group["lr"]), float(group["momentum"])))
        scheduler.optimizer.step()
        if step < steps - 1:
            scheduler.step(*(() if metrics is None else (metrics[step],)))
    return np.array(seen).T


def read(schedule, steps=STEPS):
    return np.array([float(schedule(step)) for step in range(steps)])


def read_traced(schedule, steps=STEPS):
    """In one compiled call, in float64."""
    with jax.enable_x64(True):
        return np.asarray(jax.jit(lambda: jax.lax.map(lambda n: jnp.asarray(schedule(n), float), jnp.arange(steps)))())


def label(value):
    if isinstance(value, dict):
        return ",".join(f"{k}={getattr(v, '__name__', v)}" for k, v in value.items())
    return getattr(value, "__name__", None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("cls", "mine", "options"), TABLE, ids=label)
def test_rates(cls, mine, options):
    theirs = optimizer()
    rates, momenta = run(cls(theirs, **options), theirs.param_groups[0])
    near = {"atol": TOLERANCE * rates.max()}
    schedule = mine(LR, **options)
    assert_equivalent(rates, read(schedule), **near)
    assert_equivalent(rates, read_traced(schedule), **near)
    if cls in MOMENTA:
        assert_equivalent(momenta, read(MOMENTA[cls](LR, **options)), atol=TOLERANCE)
        assert_equivalent(momenta, read_traced(MOMENTA[cls](LR, **options)), atol=TOLERANCE)


def test_every_scheduler_of_torchs_is_here():
    combined = {L.SequentialLR, L.ChainedScheduler, L.ReduceLROnPlateau, L.LRScheduler}
    classes = {value for value in vars(L).values() if isinstance(value, type) and issubclass(value, L.LRScheduler)}
    assert {c for c in classes if not c.__name__.startswith("_")} == {cls for cls, _, _ in TABLE} - {SWALR} | combined


SEQUENCES = {
    "warm-up": (
        lambda o: [L.LinearLR(o, 0.1, 1.0, 50), L.CosineAnnealingLR(o, 300), L.ConstantLR(o, 0.2, 30)],
        lambda: [S.linear_lr(LR, 0.1, 1.0, 50), S.cosine_annealing_lr(LR, 300), S.constant_lr(LR, 0.2, 30)],
        [50, 400],
    ),
    "restarts": (
        lambda o: [L.ExponentialLR(o, 0.9), L.CosineAnnealingWarmRestarts(o, 30, 2), L.StepLR(o, 40)],
        lambda: [S.exponential_lr(LR, 0.9), S.cosine_annealing_warm_restarts(LR, 30, 2), S.step_lr(LR, 40)],
        [20, 300],
    ),
    "one": (lambda o: [L.PolynomialLR(o, 100)], lambda: [S.polynomial_lr(LR, 100)], []),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("theirs", "mine", "milestones"), SEQUENCES.values(), ids=SEQUENCES)
def test_one_after_the_other(theirs, mine, milestones):
    used = optimizer()
    rates, _ = run(L.SequentialLR(used, theirs(used), milestones), used.param_groups[0])
    schedule = S.sequential_lr(mine(), milestones)
    assert_equivalent(rates, read(schedule), atol=TOLERANCE * rates.max())
    assert_equivalent(rates, read_traced(schedule), atol=TOLERANCE * rates.max())


CHAINS = {
    "scaling": (
        lambda o: [L.ConstantLR(o, 0.1, 50), L.ExponentialLR(o, 0.99), L.MultiStepLR(o, [100, 200]),
                   L.PolynomialLR(o, 450)],
        lambda: [S.constant_lr(LR, 0.1, 50), S.exponential_lr(LR, 0.99), S.multi_step_lr(LR, [100, 200]),
                 S.polynomial_lr(LR, 450)],
    ),
    "cosine": (
        lambda o: [L.LinearLR(o, 0.1, 1.0, 40), L.CosineAnnealingLR(o, 100, eta_min=0.01)],
        lambda: [S.linear_lr(LR, 0.1, 1.0, 40), S.cosine_annealing_lr(LR, 100, eta_min=0.01)],
    ),
    "set anew": (
        lambda o: [L.LambdaLR(o, lambda n: 0.99**n), L.StepLR(o, 3)],
        lambda: [S.lambda_lr(LR, lambda n: 0.99 ** real(n)), S.step_lr(LR, 3)],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("theirs", "mine"), CHAINS.values(), ids=CHAINS)
def test_all_at_once(theirs, mine):
    used = optimizer()
    rates, _ = run(L.ChainedScheduler(theirs(used)), used.param_groups[0])
    schedule = S.chained_scheduler(mine())
    assert_equivalent(rates, read(schedule), atol=TOLERANCE * rates.max())
    assert_equivalent(rates[:250], read_traced(schedule, 250), atol=TOLERANCE * rates.max())


METRICS = np.abs(np.random.default_rng(0).standard_normal(STEPS)) + 3 / np.arange(1, STEPS + 1)
PLATEAUS = [
    {},
    {"factor": 0.5, "patience": 3, "cooldown": 5},
    {"mode": "max", "patience": 2, "threshold": 0.3},
    {"threshold_mode": "abs", "threshold": 0.1, "min_lr": 1e-3, "patience": 1},
    {"mode": "max", "threshold_mode": "abs", "threshold": 0.5, "patience": 0, "factor": 0.9},
    {"eps": 0.1, "patience": 1},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=label)
def test_plateau(options):
    used = optimizer()
    rates, _ = run(L.ReduceLROnPlateau(used, **options), used.param_groups[0], metrics=METRICS)
    plateau = S.reduce_lr_on_plateau(LR, **options)
    state, found = plateau.init(), []
    for metric in METRICS:
        found.append(float(state.lr))
        state = plateau.update(state, float(metric))
    assert_equivalent(rates, np.array(found), rtol=TOLERANCE)
    with jax.enable_x64(True):
        first = jax.tree.map(lambda x: jnp.asarray(x, type(x)), plateau.init())
        scanned = jax.lax.scan(lambda s, m: (plateau.update(s, m), s.lr), first, jnp.asarray(METRICS))[1]
    assert_equivalent(rates, scanned, rtol=TOLERANCE)


@pytest.mark.filterwarnings("ignore")
def test_an_optimizer_reads_its_schedules():
    """Rate and momentum cycle as torch's do, and the parameters follow."""
    options: dict[str, Any] = {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 5}
    for cls, mine, momentum in (
        (torch.optim.SGD, optim.sgd, lambda s: {"momentum": s}),
        (torch.optim.Adam, optim.adam, lambda s: {"betas": (s, 0.999)}),
    ):
        p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        theirs = cls([p], lr=0.1, **momentum(0.9))
        scheduler = L.CyclicLR(theirs, **options)
        with jax.enable_x64(True):
            params = jnp.ones(3)
            used = mine(S.cyclic_lr(0.1, **options), **momentum(S.cyclic_momentum(0.1, **options)))
            state = used.init(params)
            for _ in range(20):
                p.grad = p.detach() ** 2
                theirs.step()
                scheduler.step()
                updates, state = used.update(params**2, state, params)
                params = params + updates
            assert_equivalent(p, params, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: S.step_lr(0.1, 0), "step_size must be at least 1, got 0"),
        (lambda: S.constant_lr(0.1, 1.5), "factor must be between 0 and 1, got 1.5"),
        (lambda: S.linear_lr(0.1, 0.0), "start_factor must be at least .*, got 0"),
        (lambda: S.linear_lr(0.1, 2.0), "start_factor must be between 0 and 1, got 2.0"),
        (lambda: S.cosine_annealing_warm_restarts(0.1, 0), "T_0 must be at least 1, got 0"),
        (lambda: S.cyclic_lr(0.1, 0.1, 1.0, mode="square"), "mode must be one of triangular"),
        (lambda: S.one_cycle_lr(0.1, 1.0), "total_steps is needed"),
        (lambda: S.one_cycle_lr(0.1, 1.0, 10, pct_start=2.0), "pct_start must be between 0 and 1, got 2.0"),
        (lambda: S.one_cycle_lr(0.1, 1.0, 10, anneal_strategy="step"), "anneal_strategy must be 'cos' or 'linear'"),
        (lambda: S.one_cycle_lr(0.1, 1.0, 10)(12), "the cycle has 10 steps, got step 12"),
        (lambda: S.swalr(0.1, 1.0, -1), "anneal_epochs must be at least 0, got -1"),
        (lambda: S.sequential_lr([S.step_lr(0.1, 3)], [4]), "one fewer than schedulers"),
        (lambda: S.chained_scheduler([]), "at least one schedule is needed"),
        (lambda: S.reduce_lr_on_plateau(0.1, factor=1.0), "factor must be .*below 1, got 1.0"),
        (lambda: S.reduce_lr_on_plateau(0.1, mode="least"), "mode must be 'min' or 'max'"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
