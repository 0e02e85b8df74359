"""The text of test_equivalence.py: a port against PyTorch's recorded answers, and against the model itself."""

import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import torch

from fnlearn import tree
from fnlearn.equivalence import compare, named, torch_side
from fnlearn.port.program import formatted

if TYPE_CHECKING:
    from fnlearn.port.convert import Port

__all__ = ["proof"]

HEAD = '''\
"""Is model.py the model it was ported from?

Each question is asked twice: of PyTorch's answers in golden.safetensors, so that torch need not be there, and of the
PyTorch model itself where it can be made.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
{optax}import pytest

import model
{train}from fnlearn import equivalence, optim, tree

HERE = Path(__file__).parent
GOLDEN = equivalence.load(HERE / "golden.safetensors")
BUFFERS = {buffers}


def pair(theirs):
    """PyTorch's side, and this port with its weights."""
    state = jax.tree.map(jnp.asarray, tree.load(HERE / "weights.safetensors"))
    buffers, params = tree.partition(state, lambda name, _: name in BUFFERS)
    return equivalence.pair(theirs, model.apply, params, buffers)


@pytest.fixture
def golden():
    return pair(GOLDEN)


@pytest.fixture
def live(torch_original):
    """The model is made by what is named here, or by what `pytest --fnlearn-torch=path.py:name` names."""
    return pair(torch_original(HERE, {made_by}))


@pytest.fixture(params=["golden", "live"])
def both(request):
    return request.getfixturevalue(request.param)


def test_outputs(both):
    answer = equivalence.forward(both, GOLDEN.inputs{modes})
    assert answer.ok, answer


def test_gradients(both):
    answer = equivalence.backward(both, GOLDEN.inputs{modes})
    assert answer.ok, answer
'''
STEP = '''

def loss(out, target):
    """The mean square of what the model returns."""
    return sum((leaf**2).mean() for leaf in jax.tree.leaves(out) if jnp.issubdtype(leaf.dtype, jnp.floating))


def torch_loss(out, target):
    import torch

    leaves = [leaf for leaf in torch.utils._pytree.tree_leaves(out) if torch.is_tensor(leaf)]
    return sum((leaf**2).mean() for leaf in leaves if leaf.is_floating_point())


def torch_sgd(parameters):
    import torch

    return torch.optim.SGD(parameters, lr=0.01)


def test_an_optimizer_step({fixture}):
    answer = equivalence.training({fixture}, torch_sgd, optim.sgd(0.01), {batches}, (torch_loss, loss))
    assert answer.ok, answer
'''
GOES_ON = """

def test_the_run_goes_on(golden):
    def start(params):
        floats = jax.tree.leaves(params)[0].dtype
        cast = lambda x: x.astype(floats) if jnp.issubdtype(x.dtype, jnp.floating) else x
        return jax.tree.map(cast, train.start()[2])

    optimizer = optax.GradientTransformationExtraArgs(start, train.optimizer.update)
    losses = (None, lambda out, targets: train.loss(out, *targets))
    answer = equivalence.training(golden, None, optimizer, GOLDEN.batches, losses)
    assert answer.ok, answer
"""


def proof(port: "Port", folder: Path, made_by: str | None, steps: bool) -> str:
    """The text for a folder; steps: whether the model can take one of an optimizer."""
    going = port.training is not None
    place, why = _place(port, folder, made_by)
    text = HEAD.format(
        optax="import optax\n" * going,
        train="import train\n" * going,
        buffers=sorted(tree.flatten(port.buffers)),
        made_by=repr(place) if place else f"why={why!r}",
        modes=', modes=("eval",)' if port.no_training else "",
    )
    if going:  # what is recorded is the run that goes on
        text += STEP.format(fixture="live", batches="[(GOLDEN.inputs[0], 0.0)]") + GOES_ON
    elif steps:
        text += STEP.format(fixture="both", batches="GOLDEN.batches")
    return formatted(text)


def _place(port: "Port", folder: Path, made_by: str | None) -> tuple[str, str]:
    """What makes the model again, `path.py:name` from the folder or `package.module:name`; else why nothing does."""
    kind = type(port.original)
    try:
        with torch.random.fork_rng(devices=()):
            made = kind() if made_by is None else named.module(made_by)
        text = _of_class(kind) if made_by is None else made_by
        file, _, name = text.rpartition(":")
        if file.endswith(".py"):
            text = f"{Path(os.path.relpath(Path(file).resolve(), folder.resolve())).as_posix()}:{name}"
        frozen = torch_side.facts(port.original).frozen
        if _same(port, torch_side.loaded(made, tree.merge(port.params, port.buffers), frozen)):
            return text, ""
        return (
            "",
            f"{kind.__name__ + '()' if made_by is None else name} makes another model than the one that was ported",
        )
    except Exception as error:  # whatever a constructor raises
        first = str(error).partition("\n")[0]
        return "", f"{kind.__name__} can't be made without arguments: {first}" if made_by is None else first


def _of_class(kind: type[Any]) -> str:
    module = sys.modules.get(kind.__module__)
    if module is None or getattr(module, kind.__qualname__, None) is not kind or kind.__module__ == "__main__":
        raise ValueError("it can't be imported, as what a script or a function defines")
    if "." in kind.__module__:
        return f"{kind.__module__}:{kind.__qualname__}"
    return f"{inspect.getfile(kind)}:{kind.__qualname__}"


def _same(port: "Port", made: torch.nn.Module) -> bool:
    """Whether a module answers as the one that was ported; what it draws included."""
    modes = ("eval",) if port.no_training else ("eval", "train")
    requests, _ = torch_side.answerable(port.original, [port.inputs], ("float32",), modes)
    for request in requests:
        theirs, mine = (torch_side.answer(module, [port.inputs], request, False) for module in (port.original, made))
        if theirs.pop("draws") != mine.pop("draws") or _shapes(theirs) != _shapes(mine):
            return False
        if not all(leaf.ok for leaf in compare(theirs, mine)):
            return False
    return True


def _shapes(answer: Any) -> Any:
    return jax.tree.map(np.shape, answer)
