"""torch trains, fnlearn goes on, and torch goes on from there: the trajectory is that of torch alone."""

import copy
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as L

from fnlearn import optim
from fnlearn.equivalence import assert_equivalent
from fnlearn.optim import schedules as S
from fnlearn.tree import as_numpy
from tests.optim.trajectories import (
    CLASSES,
    apart,
    gradients,
    jax_steps,
    shapes,
    start,
    torch_optimizer,
    torch_params,
    torch_steps,
)
from tests.reference import precision

FIRST, THEN = 12, 9
MORE: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {"momentum": 0.9, "dampening": 0.3}),
    ("sgd", {}),
    ("adam", {"amsgrad": True}),
    ("rmsprop", {"centered": True, "momentum": 0.5}),
    ("adagrad", {"lr_decay": 0.1}),
    ("muon", {"lr": 0.02}),
]
CASES = [*((name, {}) for name in CLASSES if name not in ("lbfgs", "sgd")), *MORE]


def part(given, begin, count):
    return {key: x[begin : begin + count] for key, x in given.items()}


def order(name):
    """As torch has them, which is not that of sorted keys."""
    return list(shapes(name))


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_there_and_back(name, options):
    given = gradients(name, steps=FIRST + 2 * THEN)
    whole = torch_params(start(name), "float64")
    expected = torch_steps(name, torch_optimizer(name, list(whole.values()), options), whole, given)

    params = torch_params(start(name), "float64")
    theirs = torch_optimizer(name, list(params.values()), options)
    torch_steps(name, theirs, params, part(given, 0, FIRST))
    saved = copy.deepcopy(theirs.state_dict())
    with precision("float64"):
        mine = getattr(optim, name)(**options)
        now = {key: jnp.asarray(p.detach().numpy()) for key, p in params.items()}
        state = optim.from_torch(saved, mine.init(now), now, order(name))
        again = optim.to_torch(state, saved, now, order(name))
        now, state, seen = jax_steps(mine, now, state, part(given, FIRST, THEN))
        assert apart(part(expected, FIRST, THEN), seen, start(name)) < 1e-12
        back = optim.to_torch(state, saved, now, order(name))
    assert_same_state(saved, again)
    for key, p in params.items():
        p.data = torch.tensor(np.asarray(now[key]))
    other = torch_optimizer(name, list(params.values()), options)
    other.load_state_dict(back)
    last = torch_steps(name, other, params, part(given, FIRST + THEN, THEN))
    assert apart(part(expected, FIRST + THEN, THEN), last, start(name)) < 1e-12


def assert_same_state(one, other):
    """To the last bit, with torch's types of numbers."""
    assert one["state"].keys() == other["state"].keys()
    for i, kept in one["state"].items():
        kept = {slot: x for slot, x in kept.items() if x is not None}
        assert kept.keys() == other["state"][i].keys()
        for slot, x in kept.items():
            assert type(x) is type(other["state"][i][slot]), slot
            assert np.array_equal(as_numpy(x), as_numpy(other["state"][i][slot])), slot
            assert getattr(x, "dtype", None) == getattr(other["state"][i][slot], "dtype", None), slot


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_lbfgs_there_and_back(line_search):
    """Its vectors run over all parameters, in torch's order; the history is long enough to go round."""
    rng = np.random.default_rng(0)
    begin = {"w": rng.standard_normal((2, 3)), "b": rng.standard_normal(2)}  # sorted, b comes first
    options = {"lr": 0.3, "max_iter": 4, "history_size": 5, "line_search_fn": line_search}

    def steps(params, optimizer, count):
        def closure():
            optimizer.zero_grad()
            value = (params["w"] ** 4).sum() + ((params["w"].sum(1) - params["b"]) ** 2).sum()
            value.backward()
            return value

        for _ in range(count):
            optimizer.step(closure)
        return {key: p.detach().clone() for key, p in params.items()}

    def loss(params):
        return jnp.sum(params["w"] ** 4) + jnp.sum((params["w"].sum(1) - params["b"]) ** 2)

    whole = torch_params(begin, "float64")
    once = torch.optim.LBFGS(list(whole.values()), **options)
    expected = [steps(whole, once, count) for count in (3, 2, 2)]
    params = torch_params(begin, "float64")
    theirs = torch.optim.LBFGS(list(params.values()), **options)
    steps(params, theirs, 3)
    with precision("float64"):
        mine = optim.lbfgs(**options)
        now = {key: jnp.asarray(p.detach().numpy()) for key, p in params.items()}
        state = optim.from_torch(theirs.state_dict(), mine.init(now), now, ["w", "b"])
        for _ in range(2):
            updates, state = mine.update(jax.grad(loss)(now), state, now, value_fn=loss)
            now = jax.tree.map(jnp.add, now, updates)
        assert_equivalent(dict(sorted(expected[1].items())), now, rtol=1e-9)
        back = optim.to_torch(state, theirs.state_dict(), now, ["w", "b"])
    for key, p in params.items():
        p.data = torch.tensor(np.asarray(now[key]))
    other = torch.optim.LBFGS(list(params.values()), **options)
    other.load_state_dict(back)
    assert_equivalent(expected[2], steps(params, other, 2), rtol=1e-8)
    few = pytest.raises(ValueError, match="history_size must be at least the 5 steps that torch remembers, got 2")
    with precision("float64"), few:
        optim.from_torch(theirs.state_dict(), optim.lbfgs(history_size=2).init(now), now, ["w", "b"])


@pytest.mark.filterwarnings("ignore")
def test_groups_and_a_scheduler_there_and_back():
    """Indices run through the groups one after the other; the count goes to the schedules, the rates back."""
    given, rates = gradients("adam", steps=FIRST + 2 * THEN), (0.1, 0.02)

    def schedule(lr):
        return S.sequential_lr([S.linear_lr(lr, 0.1, 1.0, 8), S.cosine_annealing_warm_restarts(lr, 5, 2)], [8])

    def build(params: Any) -> Any:
        members = [{"params": [params["bias"], params["scale"]], "lr": rates[0], "weight_decay": 0.0}]
        members += [{"params": [params["weight"]]}]
        optimizer = torch.optim.AdamW(members, lr=rates[1], weight_decay=0.2)
        parts = [L.LinearLR(optimizer, 0.1, 1.0, 8), L.CosineAnnealingWarmRestarts(optimizer, 5, 2)]
        return optimizer, L.SequentialLR(optimizer, parts, [8])

    def run(params, optimizer, scheduler, given):
        for step in range(len(given["weight"])):
            torch_steps("adamw", optimizer, params, part(given, step, 1))
            scheduler.step()
        return {key: p.detach().clone() for key, p in params.items()}

    whole = torch_params(start("adam"), "float64")
    optimizer, steps = build(whole)
    spans = ((0, FIRST), (FIRST, THEN), (FIRST + THEN, THEN))
    expected = [run(whole, optimizer, steps, part(given, begin, count)) for begin, count in spans]
    params = torch_params(start("adam"), "float64")
    theirs, scheduler = build(params)
    run(params, theirs, scheduler, part(given, 0, FIRST))
    names = ["bias", "scale", "weight"]
    with precision("float64"):
        mine = optim.groups(
            [
                ("bias|scale", optim.adamw(schedule(rates[0]), weight_decay=0.0)),
                ("", optim.adamw(schedule(rates[1]), weight_decay=0.2)),
            ]
        )
        now = {key: jnp.asarray(p.detach().numpy()) for key, p in params.items()}
        count = S.from_torch(scheduler.state_dict())
        state = optim.from_torch(theirs.state_dict(), mine.init(now), now, names, count=count)
        now, state, _ = jax_steps(mine, now, state, part(given, FIRST, THEN))
        assert_equivalent(dict(sorted(expected[1].items())), now, rtol=1e-12)
        lr = [float(schedule(rate)(FIRST + THEN)) for rate in rates]
        back = optim.to_torch(state, theirs.state_dict(), now, names, lr=lr)
    for key, p in params.items():
        p.data = torch.tensor(np.asarray(now[key]))
    other, again = build(params)
    other.load_state_dict(back)
    again.load_state_dict(S.to_torch(FIRST + THEN, copy.deepcopy(again.state_dict()), lr))
    assert_equivalent(expected[2], run(params, other, again, part(given, FIRST + THEN, THEN)), rtol=1e-10)


SCHEDULERS = [
    (lambda o: L.StepLR(o, 3), lambda: S.step_lr(0.1, 3)),
    (lambda o: L.ExponentialLR(o, 0.9), lambda: S.exponential_lr(0.1, 0.9)),
    (lambda o: L.CosineAnnealingLR(o, 9), lambda: S.cosine_annealing_lr(0.1, 9)),
    (lambda o: L.CosineAnnealingWarmRestarts(o, 3, 2), lambda: S.cosine_annealing_warm_restarts(0.1, 3, 2)),
    (lambda o: L.OneCycleLR(o, 0.5, 40), lambda: S.one_cycle_lr(0.1, 0.5, 40)),
    (lambda o: L.ChainedScheduler([L.ConstantLR(o, 0.1, 5), L.ExponentialLR(o, 0.9)]),
     lambda: S.chained_scheduler([S.constant_lr(0.1, 0.1, 5), S.exponential_lr(0.1, 0.9)])),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "mine"), SCHEDULERS)
def test_a_scheduler_goes_on_in_torch(theirs, mine):
    def stepped(optimizer, scheduler, count):
        rates = []
        for _ in range(count):
            optimizer.step()
            scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
        return rates

    def build():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1, momentum=0.9)
        return optimizer, theirs(optimizer)

    optimizer, scheduler = build()
    expected = stepped(optimizer, scheduler, 20)
    other, again = build()
    rate = float(mine()(10))
    again.load_state_dict(S.to_torch(10, copy.deepcopy(again.state_dict()), [rate]))
    other.param_groups[0]["lr"] = rate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other's step was not called before
        assert_equivalent(expected[10:], stepped(other, again, 10), rtol=1e-12)
    assert S.from_torch(again.state_dict()) == 20


def test_a_plateau_goes_on_in_torch():
    metrics = np.abs(np.random.default_rng(0).standard_normal(40)).tolist()

    def build():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
        return optimizer, L.ReduceLROnPlateau(optimizer, patience=2, factor=0.5, cooldown=1)

    optimizer, scheduler = build()
    for metric in metrics[:20]:
        scheduler.step(metric)
    plateau = S.reduce_lr_on_plateau(0.1, patience=2, factor=0.5, cooldown=1)
    state = S.from_torch(scheduler.state_dict())
    for metric in metrics[20:30]:
        state = plateau.update(state, metric)
    other, again = build()
    again.load_state_dict(S.to_torch(state, again.state_dict(), [state.lr]))
    other.param_groups[0]["lr"] = float(state.lr)
    for metric in metrics[20:]:
        scheduler.step(metric)
    for metric in metrics[30:]:
        again.step(metric)
    assert_equivalent(optimizer.param_groups[0]["lr"], other.param_groups[0]["lr"], rtol=1e-12)


def test_names_may_come_from_torch():
    module = torch.nn.Linear(2, 3)
    theirs = torch.optim.Adam(module.named_parameters())
    module(torch.ones(1, 2)).sum().backward()
    theirs.step()
    params = {name: jnp.zeros(p.shape) for name, p in module.named_parameters()}
    state = optim.from_torch(theirs.state_dict(), optim.adam().init(params), params)
    assert np.array_equal(state.kept["exp_avg"]["weight"], theirs.state[module.weight]["exp_avg"])
    assert int(state.count) == 1


def test_narrow_numbers_keep_their_bits():
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    p.grad = torch.tensor([0.1, 0.2, 0.3], dtype=torch.bfloat16)
    theirs = torch.optim.Adam([p])
    theirs.step()
    params = {"p": jnp.ones(3, "bfloat16")}
    state = optim.from_torch(theirs.state_dict(), optim.adam().init(params), params, ["p"])
    assert_same_state(theirs.state_dict(), optim.to_torch(state, theirs.state_dict(), params, ["p"]))


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"exp_avg": torch.zeros(2)}, r"wrong shape: exp_avg of p is \(2,\), expected \(3,\)"),
    ({"max_exp_avg_sq": torch.zeros(3)}, "unexpected: max_exp_avg_sq of p"),
    ({"exp_avg_sq": None}, "missing: exp_avg_sq of p"),
]


@pytest.mark.parametrize(
    ("change", "message"), [*FAULTS, ({k: v for c, _ in FAULTS for k, v in c.items()}, "unexpected")]
)
def test_what_does_not_fit_is_listed(change, message):
    kept = {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)} | change
    saved = {"state": {0: kept}, "param_groups": [{"params": [0]}]}
    params = {"p": jnp.zeros(3)}
    with pytest.raises(ValueError, match=message) as error:
        optim.from_torch(saved, optim.adam().init(params), params, ["p"])
    assert len(str(error.value).splitlines()) == 1 + len(change)


def test_names_must_fit():
    saved, params = {"state": {}, "param_groups": [{"params": [0, 1]}]}, {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    state = optim.adam().init(params)
    with pytest.raises(ValueError, match="names are needed"):
        optim.from_torch(saved, state, params)
    for names in (["a"], ["a", "a"], ["a", "c"]):
        with pytest.raises(ValueError, match="names must be 2, each once and of params"):
            optim.from_torch(saved, state, params, names)
