"""L-BFGS: directions from the last gradients' differences, and a line search along them, in one compiled step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from fnlearn.optim.line_search import Evaluate, strong_wolfe
from fnlearn.optim.parameterwise import Option, as_given, as_real, check, inner_dtype, number, read

LEAST_CURVATURE = 1e-10  # of a step and the difference of its gradients, for it to be remembered


class LBFGSState(NamedTuple):
    """What L-BFGS knows, by torch's names; vectors run over all parameters as the tree has them.

    Args: count: updates that were made. func_evals, n_iter: evaluations and iterations so far. d, t: the last direction
        and how far it was followed. old_dirs, old_stps: differences of gradients and steps, (history_size, n), a ring.
        ro: (history_size). stored, oldest: how many rows are filled, and where they begin. H_diag: scale of the first
        Hessian. prev_flat_grad, prev_loss: those of the last iteration.
    """

    count: jax.Array  # type: ignore[assignment]
    func_evals: jax.Array
    n_iter: jax.Array
    d: jax.Array
    t: jax.Array
    old_dirs: jax.Array
    old_stps: jax.Array
    ro: jax.Array
    stored: jax.Array
    oldest: jax.Array
    H_diag: jax.Array
    prev_flat_grad: jax.Array
    prev_loss: jax.Array


class Run(NamedTuple):
    """One step under way: where it is, the loss and gradient there, and what it took."""

    state: LBFGSState
    x: jax.Array
    loss: jax.Array
    gradient: jax.Array
    evaluations: jax.Array
    iterations: jax.Array
    goes_on: jax.Array


def lbfgs(
    lr: Option = 1,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    history_size: int = 100,
    line_search_fn: str | None = None,
) -> optax.GradientTransformationExtraArgs:
    """L-BFGS; one update is one `step` of torch's, of up to max_iter iterations.

    `optimizer.update(gradient, state, params, value=loss, value_fn=loss_fn)` takes the loss as a function of the
    parameters, in place of torch's closure.

    Torch: `torch.optim.LBFGS`.
    Shape: any tree of arrays; the state holds 2 · history_size copies of it.
    Args: lr: the step, or the line search's first; it may be an array, traced or not, or a schedule, a function of the
        update's index. max_iter: iterations an update. max_eval: evaluations an update, max_iter · 5 / 4 if None.
        tolerance_grad: the greatest component of the gradient at which all is well. tolerance_change: the least change
        of loss or parameters. history_size: how many steps are remembered. line_search_fn: "strong_wolfe" or None.
    Raises: ValueError when lr is negative or line_search_fn unknown, and by `update` without params or value_fn.
    Differs: as `sgd`.
    Source: Nocedal, Wright: Numerical Optimization (2006), algorithms 3.5, 3.6, 7.4; Schmidt: minFunc (2005).
    """
    check(lr=lr)
    if line_search_fn not in (None, "strong_wolfe"):
        raise ValueError(f"line_search_fn must be 'strong_wolfe' or None, got {line_search_fn!r}")
    most = max_iter * 5 // 4 if max_eval is None else max_eval
    rate = number("lr", lr)

    def init(params: optax.Params) -> LBFGSState:
        return _start(_flat(params), history_size)

    def update(
        updates: optax.Updates,
        state: LBFGSState,
        params: optax.Params | None = None,
        *,
        value: jax.typing.ArrayLike | None = None,
        value_fn: Callable[[Any], jax.Array] | None = None,
        lr: jax.typing.ArrayLike | None = None,
        **_: Any,
    ) -> tuple[optax.Updates, LBFGSState]:
        if params is None or value_fn is None:
            raise ValueError("params and value_fn are needed: update(gradient, state, params, value_fn=loss_fn)")
        x = _flat(params)
        step = jnp.asarray(read(rate, state.count) if lr is None else lr).astype(x.dtype)
        loss_and_gradient = jax.value_and_grad(lambda x: value_fn(_like(x, params)))
        loss = jnp.asarray(value_fn(params) if value is None else value).astype(x.dtype)
        state = state._replace(count=optax.safe_increment(state.count), func_evals=state.func_evals + 1)
        gradient = _flat(updates)
        zero, one = jnp.zeros((), jnp.int32), jnp.ones((), jnp.int32)
        steep = jnp.max(jnp.abs(gradient)) > tolerance_grad
        run = Run(state, x, loss, gradient, one, zero, steep & (max_iter > 0))
        run = lax.while_loop(lambda run: run.goes_on, lambda run: iterate(run, step, loss_and_gradient), run)
        return _like(run.x - x, params), run.state

    def iterate(run: Run, lr: jax.Array, loss_and_gradient: Evaluate) -> Run:
        run = run._replace(iterations=run.iterations + 1)
        state = _directed(run, lr, history_size)
        slope = run.gradient @ state.d
        downhill = slope <= -tolerance_change

        def move(run: Run) -> Run:
            if line_search_fn is None:
                last = run.iterations == max_iter
                x = run.x + state.t * state.d
                here = lambda: (run.loss, run.gradient)  # noqa: E731
                loss, gradient = lax.cond(last, here, lambda: loss_and_gradient(x))
                evaluations, t = jnp.where(last, 0, 1).astype(jnp.int32), state.t
            else:
                left = most - run.evaluations
                start = (run.loss, run.gradient, slope)
                loss, gradient, t, evaluations = strong_wolfe(loss_and_gradient, run.x, state.t, state.d, *start, left)
                x = run.x + t * state.d
            after = state._replace(t=t, func_evals=state.func_evals + evaluations)
            return Run(after, x, loss, gradient, run.evaluations + evaluations, run.iterations, downhill)

        moved = lax.cond(downhill, move, lambda run: run._replace(state=state, goes_on=downhill), run)
        return moved._replace(goes_on=moved.goes_on & going_on(moved))

    def going_on(run: Run) -> jax.Array:
        state = run.state
        in_bounds = (run.iterations != max_iter) & (run.evaluations < most)
        steep = jnp.max(jnp.abs(run.gradient)) > tolerance_grad
        moving = jnp.max(jnp.abs(state.d * state.t)) > tolerance_change
        return in_bounds & steep & moving & ~(jnp.abs(run.loss - state.prev_loss) < tolerance_change)

    return optax.GradientTransformationExtraArgs(init, update)


def _start(x: jax.Array, history_size: int) -> LBFGSState:
    nothing, none, rows = jnp.zeros_like(x), jnp.zeros((), jnp.int32), jnp.zeros((history_size, x.size), x.dtype)
    zero, one = jnp.zeros((), x.dtype), jnp.ones((), x.dtype)
    ro = jnp.zeros(history_size, x.dtype)
    return LBFGSState(none, none, none, nothing, zero, rows, rows, ro, none, none, one, nothing, zero)


def _directed(run: Run, lr: jax.Array, history_size: int) -> LBFGSState:
    """The state with the next direction in it, and how far to try first."""
    state = run.state._replace(n_iter=run.state.n_iter + 1)
    first = state.n_iter == 1
    fresh = lambda: state._replace(d=-run.gradient)  # noqa: E731
    state = lax.cond(first, fresh, lambda: _turned(_remembered(state, run.gradient, history_size), run.gradient))
    short = jnp.minimum(1, 1 / jnp.sum(jnp.abs(run.gradient))) * lr
    return state._replace(t=jnp.where(first, short, lr), prev_flat_grad=run.gradient, prev_loss=run.loss)


def _remembered(state: LBFGSState, gradient: jax.Array, history_size: int) -> LBFGSState:
    """The last step and what it did to the gradient, in place of the oldest when there is no room."""
    y, s = gradient - state.prev_flat_grad, state.d * state.t
    ys = y @ s

    def store() -> LBFGSState:
        row = (state.oldest + state.stored) % history_size
        full = state.stored == history_size
        return state._replace(
            old_dirs=state.old_dirs.at[row].set(y),
            old_stps=state.old_stps.at[row].set(s),
            ro=state.ro.at[row].set(1 / ys),
            stored=jnp.where(full, state.stored, state.stored + 1),
            oldest=jnp.where(full, (state.oldest + 1) % history_size, state.oldest),
            H_diag=ys / (y @ y),
        )

    return lax.cond(ys > LEAST_CURVATURE, store, lambda: state)


def _turned(state: LBFGSState, gradient: jax.Array) -> LBFGSState:
    """The direction −H · g, by two passes over what is remembered."""
    size, dirs, steps, ro = state.ro.size, state.old_dirs, state.old_stps, state.ro

    def back(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        q, shares = carry
        row = (state.oldest + state.stored - 1 - i) % size
        share = steps[row] @ q * ro[row]
        return q - share * dirs[row], shares.at[row].set(share)

    def forth(i: jax.Array, r: jax.Array) -> jax.Array:
        row = (state.oldest + i) % size
        return r + steps[row] * (shares[row] - dirs[row] @ r * ro[row])

    q, shares = lax.fori_loop(0, state.stored, back, (-gradient, jnp.zeros_like(ro)))
    return state._replace(d=lax.fori_loop(0, state.stored, forth, q * state.H_diag))


def _flat(values: Any) -> jax.Array:
    """All leaves as one vector of the widest of their dtypes."""
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(values)]
    dtype = max((inner_dtype(x.dtype) for x in leaves), key=lambda d: jnp.finfo(d).bits)
    return jnp.concatenate([as_real(x, dtype).ravel() for x in leaves])


def _like(x: jax.Array, values: Any) -> Any:
    """The vector as a tree like another."""
    leaves: list[Any]
    form: Any
    leaves, form = jax.tree.flatten(values)
    parts, start = [], 0
    for leaf in leaves:
        shape = (*leaf.shape, 2) if jnp.iscomplexobj(leaf) else leaf.shape
        size = leaf.size * (2 if jnp.iscomplexobj(leaf) else 1)
        parts.append(as_given(x[start : start + size].reshape(shape), leaf.dtype))
        start += size
    return form.unflatten(parts)
