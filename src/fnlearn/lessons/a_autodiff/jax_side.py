"""Lesson A in JAX: differentiate e = (a + b) * (b + 1)."""

import jax
import jax.numpy as jnp


def forward(a, b):
    c = a + b
    d = b + 1
    e = c * d
    return {"c": c, "d": d, "e": e}


def local_derivatives(a, b, dtype="float32"):
    """One number for each edge of the graph: how its head moves with its tail."""
    a, b = leaf(a, dtype), leaf(b, dtype)
    c, d = a + b, b + 1
    dc, de = jax.grad(jnp.add, (0, 1))(a, b), jax.grad(jnp.multiply, (0, 1))(c, d)
    dd = jax.grad(lambda b: b + 1)(b)
    return {"∂c/∂a": dc[0], "∂c/∂b": dc[1], "∂d/∂b": dd, "∂e/∂c": de[0], "∂e/∂d": de[1]}


def gradients(a, b, dtype="float32"):
    """jax.grad turns a function into the function of its derivatives; nothing is stored in a or b."""
    a, b = leaf(a, dtype), leaf(b, dtype)
    da, db = derivatives(a, b)
    return {"∂e/∂a": da, "∂e/∂b": db}


def leaf(value, dtype):
    """A plain number: it is the function that is differentiated."""
    return jnp.asarray(value, dtype)


def main():
    print(forward(2.0, 1.0))
    print(local_derivatives(2.0, 1.0))
    print(gradients(2.0, 1.0))


derivatives = jax.jit(jax.grad(lambda a, b: forward(a, b)["e"], argnums=(0, 1)))

if __name__ == "__main__":
    main()
