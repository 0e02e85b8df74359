"""What the JAX side answers: the same dicts as torch's, each from one compiled program."""

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fnlearn.equivalence import torch_side
from fnlearn.equivalence.asked import Call, Request, arguments, array, cotangent, float64_for, is_float, plain
from fnlearn.equivalence.draws import Draw, fed
from fnlearn.equivalence.pair import Pair
from fnlearn.equivalence.torch_side import Batch, Trajectory
from fnlearn.equivalence.watch import Told, tap, watched
from fnlearn.tree import flatten

Problems = list[str]


def answer(
    both: Pair,
    calls: Sequence[Call],
    request: Request,
    gradients: bool,
    loss: Callable[[Any], Any] | None,
    key: Any,
    draws: Sequence[Draw],
    constant: Collection[str] = (),
) -> tuple[dict[str, Any], Problems]:
    """Outputs, buffers afterwards, gradients if asked, those of constant inputs excepted; how it drew unlike torch."""
    problems: Problems = []
    with float64_for(request.dtype):
        args, kwargs, params, buffers = given(both, calls[request.call], request.dtype)
        leaves, shape = jax.tree.flatten((params, (args, kwargs)))
        floats = {i: x for i, x in enumerate(leaves) if is_float(x)}

        def run(floats: dict[int, Any], buffers: Any) -> tuple[Any, Any]:
            own, (args, kwargs) = jax.tree.unflatten(shape, [floats.get(i, x) for i, x in enumerate(leaves)])
            with fed(draws, _values(draws), problems):
                out, after = both.apply(own, buffers, *args, train=request.train, key=_key(key), **kwargs)
            outs = [loss(out)] if loss else jax.tree.leaves(plain(out))
            pulled = {i: x for i, x in enumerate(outs) if is_float(x)}
            return pulled, (plain(out), after)

        def whole(floats: dict[int, Any], buffers: Any) -> Any:
            if not gradients:
                return *run(floats, buffers)[1], None
            pulled, pullback, (out, after) = jax.vjp(lambda x: run(x, buffers), floats, has_aux=True)
            # of complex numbers, JAX's derivatives are the conjugates of torch's
            random = {i: cotangent(i, x.shape, jnp.iscomplexobj(x)).conj() for i, x in pulled.items()}
            along = {i: jnp.asarray(1 if loss else random[i], x.dtype) for i, x in pulled.items()}
            return out, after, jax.tree.map(jnp.conj, pullback(along)[0])

        # integers alone may decide shapes, which a compiled program must know beforehand
        out, after, grads = (jax.jit(whole) if floats else whole)(floats, buffers)
        found = {"out": out, "buffers": torch_side.without_constants(both.module, flatten(buffers), flatten(after))}
        if gradients:
            of_params, of_inputs = jax.tree.unflatten(shape, [grads.get(i, x) for i, x in enumerate(leaves)])
            frozen = torch_side.facts(both.module).frozen
            named = {name: g for name, g in both.names(of_params).items() if name not in frozen}
            positions = enumerate(jax.tree.leaves(of_inputs))
            inputs = {str(i): x for i, x in positions if is_float(x) and str(i) not in constant}
            found["grad"] = {"params": named, "input": inputs}
        return found, problems


def layers(
    both: Pair,
    calls: Sequence[Call],
    request: Request,
    key: Any,
    events: Sequence[torch_side.Event],
    draws: Sequence[Draw],
    isolate: bool,
) -> list[Told]:
    """What goes into and out of the layers that the JAX side tells, computed one operation at a time."""
    with float64_for(request.dtype):
        args, kwargs, params, buffers = given(both, calls[request.call], request.dtype)
        with watched(both, params, buffers, events if isolate else None) as told, fed(draws, _values(draws), []):
            out, _ = both.apply(params, buffers, *args, train=request.train, key=_key(key), **kwargs)
            if all(call.path != torch_side.ROOT for call in told):
                tap(torch_side.ROOT, out)
        return told


def run(
    both: Pair,
    transformation: optax.GradientTransformation,
    batches: Sequence[Batch],
    loss_fn: Any,
    dtype: str,
    key: Any,
    draws: Sequence[Sequence[Draw]],
    clip: Callable[[Any], Any] | None = None,
) -> tuple[Trajectory, Problems]:
    """A whole run: each quantity stacked over the steps; and how it drew unlike torch."""
    update = optax.with_extra_args_support(transformation).update
    frozen = torch_side.facts(both.module).frozen
    problems: Problems = []

    def loss_of(params: Any, buffers: Any, inputs: Any, goal: Any, values: Any) -> tuple[Any, Any]:
        args, kwargs = inputs
        with fed(draws[0], values, problems):
            out, after = both.apply(params, buffers, *args, train=True, key=_key(key), **kwargs)
        return loss_fn(out, goal), after

    @functools.partial(jax.jit, static_argnames="options")
    def step(params: Any, buffers: Any, state: Any, arrays: Any, goal: Any, values: Any, options: Any) -> Any:
        others, shape = options  # which a compiled program must know beforehand
        inputs = jax.tree.unflatten(shape, [(arrays | dict(others))[i] for i in range(shape.num_leaves)])
        (loss, buffers), grads = jax.value_and_grad(loss_of, has_aux=True)(params, buffers, inputs, goal, values)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for name, g in both.names(grads).items() if name not in frozen))
        updates, state = update(grads if clip is None else clip(grads), state, params, value=loss)
        return optax.apply_updates(params, updates), buffers, state, loss, norm

    with float64_for(dtype):
        params, buffers = jax.tree.map(lambda x: array(x, dtype), (both.params, both.buffers))
        state, steps, start = transformation.init(params), [], flatten(buffers)
        for (call, target), drawn in zip(batches, draws, strict=True):
            inputs, ((goal,), _) = jax.tree.map(lambda x: array(x, dtype), (arguments(call), arguments((target,))))
            leaves, shape = jax.tree.flatten(inputs)
            arrays = {i: x for i, x in enumerate(leaves) if hasattr(x, "shape")}
            options = tuple((i, x) for i, x in enumerate(leaves) if i not in arrays), shape
            now = params, buffers, state, arrays, goal, _values(drawn)
            params, buffers, state, loss, norm = step(*now, options=options)
            kept = torch_side.without_constants(both.module, start, flatten(buffers))
            steps.append(torch_side.step(loss, norm, both.names(params), kept))
        return torch_side.stacked(steps), problems


def given(both: Pair, call: Call, dtype: str) -> tuple[Any, Any, Any, Any]:
    """Positional and keyword arguments, parameters and buffers in the dtype under test."""
    args, kwargs = arguments(call)
    converted: tuple[Any, Any, Any, Any] = jax.tree.map(
        lambda x: array(x, dtype), (args, kwargs, both.params, both.buffers)
    )
    return converted


def _values(draws: Sequence[Draw]) -> list[Any]:
    return [draw.values for draw in draws]


def _key(key: Any) -> Any:
    """One to draw with, if none is given: what it gives is replaced where torch draws."""
    return jax.random.key(0) if key is None else key
