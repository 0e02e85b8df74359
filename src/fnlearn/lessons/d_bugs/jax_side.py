"""Lesson D's two bugs in JAX: when does each of them show?"""

import jax

import fnlearn.functional as F
from fnlearn import nn


def Overwritten():
    """The same slip, as text, since no file with it in could be imported."""
    text = "nn.compose(forward, linear1=nn.Linear(8, 6), linear2=nn.Linear(6, 4), linear1=nn.Linear(4, 1))"
    return compile(text, "model.py", "eval")


def Undefined():
    def forward(net, x):
        out = F.sigmoid(net.linear1(x))  # noqa: F841
        return y_pred  # noqa: F821  # type: ignore[name-defined]  meant to be out: no such name

    return nn.compose(forward, linear1=nn.Linear(8, 1))


def overwritten():
    """Layers are the arguments of one call: a repeated name is a syntax error, before anything runs."""
    _, read = attempt(Overwritten)
    return {"read the source": read}


def undefined():
    """A pure function can be run on shapes alone, every line of it, before there is any data."""
    return stages(Undefined)


def stages(build):
    """What comes of each step on the way to training."""
    net, built = attempt(build)
    (params, buffers), listed = attempt(lambda: jax.eval_shape(net.init, jax.random.key(0)))
    batch = jax.ShapeDtypeStruct((32, 8), "float32")
    _, ran = attempt(lambda: jax.eval_shape(net.apply, params, buffers, batch))
    return {"build the model": built, "list its weights": listed, "trace it, without data": ran}


def attempt(action):
    """The result, and in words what came of it."""
    try:
        return action(), "no error"
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def main():
    for bug in (overwritten, undefined):
        print(bug.__name__, bug())


if __name__ == "__main__":
    main()
