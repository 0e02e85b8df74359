"""A half-trained PyTorch run that goes on in JAX: the losses and parameters that PyTorch would have had."""

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as schedulers

from fnlearn import port, tree
from fnlearn.equivalence import assert_equivalent


@pytest.fixture(autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.head = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.norm(self.hidden(x))))


def by_decay(net):
    decayed = [p for p in net.parameters() if p.ndim > 1]
    return [{"params": decayed, "weight_decay": 0.1}, {"params": [p for p in net.parameters() if p.ndim == 1]}]


def frozen(net):
    net.hidden.weight.requires_grad_(False)
    return net.parameters()


def smooth(out, target):
    """Not a function of torch's alone."""
    return nn.functional.cross_entropy(out, target, label_smoothing=0.1) + 0.01 * out.square().mean()


OPTIMIZERS = {
    "sgd": lambda net: torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True),
    "adamw of groups": lambda net: torch.optim.AdamW(by_decay(net), 1e-2, betas=(0.8, 0.9)),
    "rmsprop, a part frozen": lambda net: torch.optim.RMSprop(frozen(net), 1e-2, centered=True),
}
SCHEDULERS: dict[str, Any] = {
    "none": lambda optimizer: None,
    "cosine": lambda optimizer: schedulers.CosineAnnealingLR(optimizer, 20),
    "warm-up": lambda optimizer: schedulers.SequentialLR(
        optimizer,
        [schedulers.LinearLR(optimizer, 0.1, total_iters=3), schedulers.MultiStepLR(optimizer, [2, 4])],
        [3],
    ),
    "one cycle": lambda optimizer: schedulers.OneCycleLR(
        optimizer, 0.2, total_steps=20, cycle_momentum=isinstance(optimizer, torch.optim.SGD)
    ),
    "plateau": schedulers.ReduceLROnPlateau,
}
CASES = [(o, s) for o in OPTIMIZERS for s in SCHEDULERS if s in ("none", "cosine")]
CASES += [("sgd", s) for s in SCHEDULERS if s in ("warm-up", "one cycle")]
DATA = [(torch.randn(5, 4, dtype=torch.float64), torch.randint(0, 3, (5,))) for _ in range(8)]


def half_trained(optimizer, scheduler, every=1):
    torch.manual_seed(0)
    net = Net().double()
    made = OPTIMIZERS[optimizer](net)
    return net, made, SCHEDULERS[scheduler](made), every


def run(net, optimizer, scheduler, every, data, loss):
    losses = []
    for i, (x, y) in enumerate(data):
        optimizer.zero_grad()
        value = loss(net(x), y)
        value.backward()
        optimizer.step()
        if scheduler is not None and (i + 1) % every == 0:
            scheduler.step()
        losses.append(value.item())
    return losses


def goes_on(half, loss):
    """Four steps in torch; then both sides go on."""
    net, optimizer, scheduler, every = half
    run(net, optimizer, scheduler, every, DATA[:4], loss)
    made = port.convert(net, (DATA[0][0],), loss=loss, targets=(DATA[0][1],), optimizer=optimizer, scheduler=scheduler)
    theirs = run(net, optimizer, scheduler, every, DATA[4:], loss)
    assert made.training is not None
    batches = [((jnp.asarray(x.numpy()),), (jnp.asarray(y.numpy()),)) for x, y in DATA[4:]]
    params, buffers, _, ours = made.training.module.train(batches, made.params, made.buffers, made.training.opt_state)
    assert_equivalent(np.asarray(theirs), jnp.stack(ours))
    after = {name: tree.as_numpy(x) for name, x in net.state_dict().items()}
    mine = tree.flatten(params) | tree.flatten(buffers)
    assert_equivalent(after, {name: mine[name].astype(after[name].dtype) for name in after})
    return made.training


@pytest.mark.parametrize(("optimizer", "scheduler"), CASES)
def test_the_run_goes_on(optimizer, scheduler, x64):
    goes_on(half_trained(optimizer, scheduler), nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 0.5]).double()))


def test_a_loss_of_ones_own(x64):
    training = goes_on(half_trained("sgd", "none"), smooth)
    assert "def loss(out, target):" in training.source


def test_a_function_of_torchs(x64):
    training = goes_on(half_trained("sgd", "none"), nn.functional.cross_entropy)
    assert "def loss(input, target):" in training.source


def test_a_scheduler_that_is_stepped_once_in_two_updates(x64):
    training = goes_on(half_trained("adamw of groups", "cosine", every=2), smooth)
    assert "schedule_0(count // 2)" in training.source


@pytest.mark.parametrize("optimizer", ["sgd", "adamw of groups"])
def test_a_scheduler_that_is_given_a_metric(optimizer, x64):
    """Epochs of two updates; the rate falls once before the run is ported, and once after."""
    net, theirs, _, _ = half_trained(optimizer, "none")
    scheduler = schedulers.ReduceLROnPlateau(theirs, "max", factor=0.5, patience=1, cooldown=1, threshold_mode="abs")
    metrics = iter([0.5, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6])
    epochs = [DATA[i : i + 2] for i in (0, 2, 4, 6, 0, 2, 4)]
    losses: list[float] = []
    for epoch, data in enumerate(epochs):
        if epoch == 4:
            made = port.convert(
                net, (DATA[0][0],), loss=smooth, targets=(DATA[0][1],), optimizer=theirs, scheduler=scheduler
            )
        losses += run(net, theirs, None, 1, data, smooth)
        scheduler.step(next(metrics))
    assert made.training is not None
    module, state = made.training.module, (made.params, made.buffers, made.training.opt_state)
    now, ours, rates = module.plateau_state, [], []  # type: ignore[var-annotated]
    for metric, data in zip([0.6, 0.6, 0.6], epochs[4:], strict=True):
        batches = [((jnp.asarray(x.numpy()),), (jnp.asarray(y.numpy()),)) for x, y in data]
        *state, found = module.train(batches, *state, lr=now.lr)
        now = module.plateau.update(now, metric)
        ours, rates = [*ours, *found], [*rates, float(now.lr)]
    assert_equivalent(np.asarray(losses[8:]), jnp.stack(ours))
    assert rates[-1] == theirs.param_groups[0]["lr"] < rates[0] < made.training.optimizer.defaults["lr"]


def test_a_loss_of_a_part_of_the_outputs(x64):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def forward(self, x):
            return {"logits": self.net(x), "input": x}

    def loss(out, target):
        return nn.functional.cross_entropy(out["logits"], target)

    net = Two().double()
    optimizer = torch.optim.Adam(net.parameters(), 0.1)
    goes_on((net, optimizer, None, 1), loss)


def test_a_loss_that_branches_on_a_size(x64):
    def loss(out, target):
        scale = 2.0 if len(target) > 3 else 1.0
        return scale * nn.functional.cross_entropy(out, target)

    training = goes_on(half_trained("sgd", "none"), loss)
    assert training.module.loss(jnp.ones((4, 3)), jnp.zeros(4, int)) > 0
    with pytest.raises(ValueError, match=r"ported for target.shape\[0\] > 3, got 2"):
        training.module.loss(jnp.ones((2, 3)), jnp.zeros(2, int))


@pytest.mark.parametrize("kind", ["cosine", "plateau"])
def test_the_folder_goes_on_alone(tmp_path, kind):
    net, optimizer, scheduler, _ = half_trained("sgd", kind)
    net = net.float()
    x, y = DATA[0][0].float(), DATA[0][1]
    run(net, optimizer, None if kind == "plateau" else scheduler, 1, [(x, y)] * 3, smooth)
    made = port.convert(net, (x,), loss=smooth, targets=(y,), optimizer=optimizer, scheduler=scheduler)
    assert all(answer.ok for answer in made.save(tmp_path / "net"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "test_equivalence.py"]
    done = subprocess.run(command, cwd=tmp_path / "net", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (tmp_path / "net" / "go.py").write_text(
        "import jax.numpy as jnp, train\n"
        "params, buffers, state = train.start()\n"
        "batches = [((jnp.ones((5, 4)),), (jnp.zeros(5, int),))] * 9\n"
        "losses = train.train(batches, params, buffers, state)[3]\n"
        "assert losses[-1] < losses[0], losses\n"
    )
    subprocess.run([sys.executable, "go.py"], cwd=tmp_path / "net", check=True)


def convert(net, optimizer, scheduler=None, loss=smooth):
    return port.convert(net, (DATA[0][0],), loss=loss, targets=(DATA[0][1],), optimizer=optimizer, scheduler=scheduler)


def test_what_can_not_be_carried_over():
    net, optimizer, _, _ = half_trained("sgd", "none")
    with pytest.raises(port.PortError, match="loss and optimizer go together"):
        port.convert(net, (DATA[0][0],), optimizer=optimizer)
    with pytest.raises(port.PortError, match="2 of the optimizer's 2 parameters are not the model's"):
        convert(net, torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1))
    with pytest.raises(port.PortError, match="LambdaLR is not ported"):
        convert(net, optimizer, schedulers.LambdaLR(optimizer, lambda step: 1.0))
    rates = torch.optim.SGD([{"params": net.hidden.parameters()}, {"params": net.head.parameters(), "lr": 0.2}], 0.1)
    with pytest.raises(port.PortError, match=r"different rates is not ported, got lr=0.1 and min_lr=0, lr=0.2 and min"):
        convert(net, rates, schedulers.ReduceLROnPlateau(rates))
    adam = torch.optim.Adam(net.parameters(), 0.1)
    with pytest.raises(port.PortError, match="changes the first beta of Adam"):
        convert(net, adam, schedulers.OneCycleLR(adam, 0.2, total_steps=9))

    class Other(torch.optim.SGD):
        """One of the user's own."""

    with pytest.raises(port.PortError, match="Other is not ported"):
        convert(net, Other(net.parameters(), 0.1))
