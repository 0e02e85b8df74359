"""A port as a folder: the source, the weights, and the proof, which needs no torch."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax
import torch

from fnlearn import equivalence, optim, tree
from fnlearn.port.proof import proof
from fnlearn.port.training import Training, goes_on, saved_state

if TYPE_CHECKING:
    from fnlearn.port.convert import Port

__all__ = ["save"]

README = """\
# {name}

- `model.py`: {name} as JAX source; `apply(params, buffers, *inputs, train=False, key=None)` returns what the model
  returns, and its buffers as they are afterwards
- `weights.safetensors`: parameters and buffers by PyTorch's names
- `test_equivalence.py`: the proof that it is the same model, against PyTorch's own answers in `golden.safetensors`, and
  against the PyTorch model itself where that can be made
{also}
When it was ported:

| question | answer | arrays compared | largest JAX error in units of PyTorch's, against float64 |
| --- | --- | --- | --- |
{report}
"""


TRAINING = """\
- `train.py`: the loss, PyTorch's optimizer with its options and its state from `optimizer.safetensors`, a jitted
  `step`, and the loop: `train(batches, *start())` goes on where PyTorch left off
"""
STACKED = """\
- `fnlearn.tree.stack_layers(params, {paths})` stores equal blocks as the loop over them wants them
"""
STEPS = 3  # of a run that goes on, which are compared


def save(directory: str | os.PathLike[str], port: "Port", made_by: str | None = None) -> list[equivalence.Answer]:
    """Write a port and what proves it; the folder appears when all of it is there."""
    target = Path(directory)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} is there already and not empty; give another folder, or remove it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        answers = _written(folder, port, made_by)
        folder.chmod(0o755)
        folder.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return answers


def _written(folder: Path, port: "Port", made_by: str | None) -> list[equivalence.Answer]:
    module, inputs, trains = port.original, port.inputs, not port.no_training
    (folder / "model.py").write_text(port.source)
    tree.save(folder / "weights.safetensors", tree.merge(port.params, port.buffers))
    modes = ("train", "eval") if trains else ("eval",)
    steps = trains and any(parameter.requires_grad for parameter in module.parameters())
    run: Any = (lambda ps: torch.optim.SGD(ps, lr=0.01), [(inputs, torch.zeros(()))], _torch_loss) if steps else None
    if port.training is not None:
        own = port.training
        run = (goes_on(own, module), [(inputs, own.targets)] * STEPS, lambda out, targets: own.loss(out, *targets))
    equivalence.record(folder / "golden.safetensors", module, inputs, run=run, modes=modes)
    golden = equivalence.load(folder / "golden.safetensors")
    both = equivalence.pair(golden, port.apply, port.params, port.buffers)
    answers = [ask(both, inputs, modes=modes) for ask in (equivalence.forward, equivalence.backward)]
    optimizer, loss = (optim.sgd(0.01), _loss) if port.training is None else _going_on(port.training)
    if steps:
        losses: Any = (None, loss)  # torch's side is in the recording
        answers.append(equivalence.training(both, _nothing, optimizer, both.module.batches, losses))
    if port.training is not None:
        (folder / "train.py").write_text(port.training.source)
        tree.save(folder / "optimizer.safetensors", saved_state(port.training.opt_state))
    (folder / "test_equivalence.py").write_text(proof(port, folder, made_by, steps))
    report = "\n".join(_row(answer) for answer in answers)
    also = "" if port.training is None else TRAINING
    if port.stacked:
        also += STACKED.format(paths=list(port.stacked))
    (folder / "README.md").write_text(README.format(name=type(module).__name__, report=report, also=also))
    return answers


def _row(answer: equivalence.Answer) -> str:
    verdict = "yes" if answer.ok else f"no, it parts at {answer.first}"
    return f"| {answer.question} | {verdict} | {len(answer.leaves)} | {equivalence.worst_ratio(answer):.2g} |"


def _going_on(training: Training) -> tuple[optax.GradientTransformationExtraArgs, Any]:
    """The ported optimizer from the state in which it is, in the dtype that is asked."""

    def start(params: Any) -> Any:
        floats = jax.tree.leaves(params)[0].dtype
        cast = lambda x: x.astype(floats) if jnp.issubdtype(x.dtype, jnp.floating) else x  # noqa: E731
        return jax.tree.map(cast, training.opt_state)

    update = training.module.optimizer.update
    return optax.GradientTransformationExtraArgs(start, update), lambda out, goal: training.module.loss(out, *goal)


def _nothing(parameters: list[Any]) -> Any:
    return None


def _torch_loss(out: Any, target: Any) -> Any:
    leaves = [leaf for leaf in torch.utils._pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
    return sum((leaf**2).mean() for leaf in leaves if leaf.is_floating_point())


def _loss(out: Any, target: Any) -> Any:
    return sum((leaf**2).mean() for leaf in jax.tree.leaves(out) if jnp.issubdtype(leaf.dtype, jnp.floating))
