"""Reads a jaxpr one equation at a time: what each computes, and how a cotangent is pulled back through it.

Every equation is evaluated, and differentiated, on its own as a jaxpr of one equation, so that whatever JAX can
differentiate has a local derivative here, and no rule for any operation is repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp

from fnlearn.explain import notation

# Calls that only wrap other equations; their names differ between versions of JAX.
PLAIN_CALLS = frozenset(
    {"jit", "pjit", "closed_call", "core_closed_call", "core_call", "call", "remat", "remat2", "checkpoint"}
)
# These return their operand's own numbers wherever type and shape stay the same.
LAYOUT = frozenset(
    {"convert_element_type", "copy", "copy_p", "broadcast_in_dim", "reshape", "squeeze", "name", "device_put"}
    | {"sharding_constraint", "optimization_barrier"}
)


@dataclass(frozen=True, eq=False)
class Quantity:
    """A value with the operation that computed it; equal only to itself."""

    value: Any
    operation: str
    operands: tuple["Quantity", ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    part: int = 0  # which of the operation's outputs
    parts: int = 1
    evaluate: Callable[..., Any] | None = None  # all the operation's outputs as a function of the operands' values

    @property
    def is_constant(self) -> bool:
        """Whether it does not depend on any input."""
        return self.operation == "constant"


def walk(closed: Any, inputs: Sequence[Quantity]) -> list[Quantity]:
    """What a closed jaxpr returns for the inputs, plain calls opened.

    Args:
        closed: a `ClosedJaxpr`, or a `Jaxpr` without constants.
        inputs: one quantity for each of its input variables.

    Returns:
        One quantity for each of its output variables.
    """
    jaxpr, consts = (closed.jaxpr, closed.consts) if isinstance(closed, jex.ClosedJaxpr) else (closed, ())
    known = dict(zip(jaxpr.invars, inputs, strict=True))
    known.update(zip(jaxpr.constvars, map(_constant, consts), strict=True))

    def read(atom: Any) -> Quantity:
        return known[atom] if isinstance(atom, jex.Var) else _constant(jnp.asarray(atom.val, atom.aval.dtype))

    for equation in jaxpr.eqns:
        if equation.outvars:  # without outputs there is only an effect, such as debug.print
            operands = [read(atom) for atom in equation.invars]
            known.update(zip(equation.outvars, _results(equation, operands), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def needed(result: Quantity, inputs: Sequence[Quantity]) -> list[Quantity]:
    """What is computed on the way from the inputs to the result, operands before what uses them.

    Args:
        result: the quantity asked for.
        inputs: left out of the list.

    Returns:
        The quantities, with the result last unless it is an input.
    """
    order: list[Quantity] = []
    seen = set(inputs)
    stack = [(result, False)]
    while stack:  # a loop, since a long computation would exceed Python's recursion limit
        quantity, operands_done = stack.pop()
        if operands_done:
            order.append(quantity)
        elif quantity not in seen:
            seen.add(quantity)
            stack.append((quantity, True))
            stack += [(operand, False) for operand in reversed(quantity.operands) if not operand.is_constant]
    return order


def pullback(quantity: Quantity, position: int) -> Callable[[Any], Any] | None:
    """What takes a cotangent of the quantity to the part of its operand's cotangent that flows through this position.

    Args:
        quantity: what an operation computed.
        position: the operand's position.

    Returns:
        The linear function, or None where JAX knows that nothing flows back.
    """
    source = quantity.operands[position].value
    if not (notation.is_differentiable(source) and notation.is_differentiable(quantity.value)):
        return None
    function = _of_operand(quantity, position)
    try:
        pull = _single(jax.vjp(function, source)[1])
        return pull if _depends(pull, quantity.value) else None
    except ValueError:  # JAX has no reverse mode for while_loop, but forward mode gives the same Jacobian
        jacobian = jax.jacfwd(function)(source)
        return lambda cotangent: jnp.tensordot(cotangent, jacobian, axes=jnp.ndim(cotangent))


def scalar_derivative(quantity: Quantity, operand: Quantity, pull: Callable[[Any], Any] | None) -> float | None:
    """The local derivative as a number, where it is one.

    Args:
        quantity: what the operation computed.
        operand: what it was computed from.
        pull: the pullback from the one to the other.

    Returns:
        The number between real scalars, 0 where nothing flows back between scalars, otherwise None.
    """
    if pull is None:
        return 0.0 if quantity.value.shape == operand.value.shape == () else None
    if notation.is_real_scalar(quantity.value) and notation.is_real_scalar(operand.value):
        return float(pull(jnp.ones_like(quantity.value)))
    return None


def _constant(value: Any) -> Quantity:
    return Quantity(jnp.asarray(value), "constant")


def _results(equation: Any, operands: list[Quantity]) -> list[Quantity]:
    if equation.primitive.name in PLAIN_CALLS:
        return walk(_body(equation), operands)
    if _only_layout(equation):
        return operands[:1]
    if equation.primitive.name == "cond" and operands[0].is_constant:  # such as the choice of a form for this device
        return walk(equation.params["branches"][int(operands[0].value)], operands[1:])
    values = [operand.value for operand in operands]
    evaluate = _alone(equation, values)
    outputs = evaluate(*values)
    if all(operand.is_constant for operand in operands):
        return [_constant(output) for output in outputs]
    name, parts = _operation_name(equation), len(outputs)
    return [
        Quantity(output, name, tuple(operands), equation.params, part, parts, evaluate)
        for part, output in enumerate(outputs)
    ]


def _body(equation: Any) -> Any:
    return equation.params["jaxpr"] if "jaxpr" in equation.params else equation.params["call_jaxpr"]


def _only_layout(equation: Any) -> bool:
    if equation.primitive.name not in LAYOUT or len(equation.invars) != 1:
        return False
    before, after = equation.invars[0].aval, equation.outvars[0].aval
    return bool(before.shape == after.shape and before.dtype == after.dtype)


def _operation_name(equation: Any) -> str:
    """The primitive's name, or for `custom_jvp` and `custom_vjp` that of the function they decorate."""
    if not equation.primitive.name.startswith("custom_"):
        return str(equation.primitive.name)
    body = equation.params.get("call_jaxpr")
    debug_info = getattr(getattr(body, "jaxpr", body), "debug_info", None)
    name = equation.params.get("name") or getattr(debug_info, "func_name", None)
    return str(name or equation.primitive.name)


def _alone(equation: Any, values: Sequence[Any]) -> Callable[..., Any]:
    """The equation as a function of its operands, each its own variable even where the equation repeats one."""
    shell = jax.make_jaxpr(lambda *_: (0.0,) * len(equation.outvars))(*values).jaxpr
    single = shell.replace(
        eqns=[equation.replace(invars=shell.invars)], outvars=equation.outvars, effects=equation.effects
    )
    return jex.jaxpr_as_fun(jex.ClosedJaxpr(single, ()))


def _of_operand(quantity: Quantity, position: int) -> Callable[[Any], Any]:
    assert quantity.evaluate is not None
    evaluate, part = quantity.evaluate, quantity.part
    values = [operand.value for operand in quantity.operands]
    return lambda value: evaluate(*values[:position], value, *values[position + 1 :])[part]


def _single(pull: Callable[[Any], tuple[Any]]) -> Callable[[Any], Any]:
    return lambda cotangent: pull(cotangent)[0]


def _depends(pull: Callable[[Any], Any], cotangent: Any) -> bool:
    """Whether the pullback uses the cotangent at all; `sign`, for one, is known to have no derivative anywhere."""
    jaxpr = jax.make_jaxpr(pull)(cotangent).jaxpr
    reached = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(not isinstance(atom, jex.Literal) and atom in reached for atom in equation.invars):
            reached.update(equation.outvars)
    return any(not isinstance(atom, jex.Literal) and atom in reached for atom in jaxpr.outvars)
