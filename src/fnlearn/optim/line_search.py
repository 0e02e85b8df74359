"""A line search that ends where Wolfe's strong conditions hold: a bracket is found, then narrowed by cubics."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Evaluate = Callable[[jax.Array], tuple[jax.Array, jax.Array]]  # x → the loss and its gradient

DECREASE, CURVATURE = 1e-4, 0.9  # of the loss and of the slope, against the slope at the start
NARROWEST = 1e-9  # width of a bracket in terms of the greatest component of the step
SEARCHING, BRACKETED, FOUND = 0, 1, 2


class Point(NamedTuple):
    """How far along the direction, and the loss, the gradient and the slope there; two of them are a bracket."""

    t: jax.Array
    f: jax.Array
    g: jax.Array
    slope: jax.Array


class Bracket(NamedTuple):
    """Two points, which of them is the lower one, and how it goes."""

    ends: Point
    low: jax.Array
    stuck: jax.Array
    found: jax.Array
    tried: jax.Array


def strong_wolfe(
    loss_and_gradient: Evaluate,
    x: jax.Array,
    t: jax.Array,
    d: jax.Array,
    f: jax.Array,
    g: jax.Array,
    slope: jax.Array,
    most: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The loss and gradient at the point that is found, how far along d it lies, and how many evaluations it took.

    Args: loss_and_gradient: of x. x: the start. t: the first try. d: the direction. f, g, slope: loss, gradient, and
        gradient along d, at the start. most: tries after the first.
    Source: Nocedal, Wright: Numerical Optimization (2006), algorithms 3.5 and 3.6; ATen's `LBFGS`.
    """

    def at(t: jax.Array) -> Point:
        loss, gradient = loss_and_gradient(x + t * d)
        return Point(t, loss.astype(f.dtype), gradient, gradient @ d)

    start = Point(jnp.zeros_like(t), f, g, slope)
    bracket, tried = _bracketed(at, start, t, most)
    bracket = _narrowed(at, start, bracket._replace(tried=tried), jnp.max(jnp.abs(d)), most)
    end = _pick(bracket.ends, bracket.low)
    return end.f, end.g, end.t, bracket.tried + 1


def _bracketed(
    at: Callable[[jax.Array], Point], start: Point, t: jax.Array, most: jax.Array
) -> tuple[Bracket, jax.Array]:
    """Ever farther until a minimum must lie between the last two points, or the last one is good enough."""
    Carry = tuple[Point, Point, jax.Array, jax.Array]

    def look(carry: Carry) -> Carry:
        before, new, tried, _ = carry
        above = _too_high(start, new) | ((tried > 1) & (new.f >= before.f))
        good = jnp.abs(new.slope) <= -CURVATURE * start.slope
        state = jnp.where(above, BRACKETED, jnp.where(good, FOUND, jnp.where(new.slope >= 0, BRACKETED, SEARCHING)))
        stay = lambda: (before, new, tried, state)  # noqa: E731
        return lax.cond(state == SEARCHING, lambda: farther(before, new, tried, state), stay)

    def farther(before: Point, new: Point, tried: jax.Array, state: jax.Array) -> Carry:
        bounds = new.t + 0.01 * (new.t - before.t), new.t * 10
        return new, at(_cubic_minimum(before, new, *bounds)), tried + 1, state

    first = (start, at(t), jnp.zeros((), jnp.int32), jnp.asarray(SEARCHING))
    going = lambda carry: (carry[3] == SEARCHING) & (carry[2] < most)  # noqa: E731
    before, new, tried, state = lax.while_loop(going, look, first)
    first_end = _where(state == SEARCHING, start, _where(state == FOUND, new, before))
    ends = jax.tree.map(lambda a, b: jnp.stack([a, b]), first_end, new)
    return Bracket(ends, _lower(ends), jnp.asarray(False), state == FOUND, tried), tried


def _narrowed(
    at: Callable[[jax.Array], Point], start: Point, bracket: Bracket, greatest: jax.Array, most: jax.Array
) -> Bracket:
    """Smaller until its lower end is good enough."""

    def going(bracket: Bracket) -> jax.Array:
        narrow = jnp.abs(bracket.ends.t[1] - bracket.ends.t[0]) * greatest < NARROWEST
        return ~bracket.found & (bracket.tried < most) & ~narrow

    def narrow(bracket: Bracket) -> Bracket:
        t, stuck = _trial(bracket)
        new, low = at(t), _pick(bracket.ends, bracket.low)
        worse = _too_high(start, new) | (new.f >= low.f)
        good = jnp.abs(new.slope) <= -CURVATURE * start.slope
        high = _pick(bracket.ends, 1 - bracket.low)
        turns = ~good & (new.slope * (high.t - low.t) >= 0)
        ends = _put(bracket.ends, 1 - bracket.low, _where(worse, new, _where(turns, low, high)))
        ends = _put(ends, bracket.low, _where(worse, low, new))
        lowest = jnp.where(worse, _lower(ends), bracket.low)
        return Bracket(ends, lowest, stuck, ~worse & good, bracket.tried + 1)

    return lax.while_loop(going, narrow, bracket)


def _trial(bracket: Bracket) -> tuple[jax.Array, jax.Array]:
    """The cubic's minimum, kept off an end the second time that it lies close to one."""
    least, greatest = jnp.min(bracket.ends.t), jnp.max(bracket.ends.t)
    t = _cubic_minimum(_pick(bracket.ends, 0), _pick(bracket.ends, 1), least, greatest)
    margin = 0.1 * (greatest - least)
    close = jnp.minimum(greatest - t, t - least) < margin
    push = close & (bracket.stuck | (t >= greatest) | (t <= least))
    off = jnp.where(jnp.abs(t - greatest) < jnp.abs(t - least), greatest - margin, least + margin)
    return jnp.where(push, off, t), close & ~push


def _cubic_minimum(a: Point, b: Point, least: jax.Array, greatest: jax.Array) -> jax.Array:
    """Where the cubic through two points and their slopes is lowest, within bounds; their middle where it has none."""
    low, high = _where(a.t <= b.t, a, b), _where(a.t <= b.t, b, a)
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    d2 = jnp.sqrt(jnp.maximum(square, 0))
    lowest = high.t - (high.t - low.t) * ((high.slope + d2 - d1) / (high.slope - low.slope + 2 * d2))
    inside = jnp.minimum(jnp.maximum(lowest, least), greatest)
    return jnp.where(square >= 0, inside, (least + greatest) / 2)


def _too_high(start: Point, new: Point) -> jax.Array:
    return new.f > start.f + DECREASE * new.t * start.slope


def _lower(ends: Point) -> jax.Array:
    return jnp.where(ends.f[0] <= ends.f[1], 0, 1)


def _pick(ends: Point, i: jax.Array | int) -> Point:
    return Point(*(x[i] for x in ends))


def _put(ends: Point, i: jax.Array, point: Point) -> Point:
    return Point(*(x.at[i].set(value) for x, value in zip(ends, point, strict=True)))


def _where(condition: jax.Array, a: Point, b: Point) -> Point:
    return Point(*(jnp.where(condition, x, y) for x, y in zip(a, b, strict=True)))
