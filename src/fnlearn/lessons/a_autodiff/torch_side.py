"""Lesson A in PyTorch: differentiate e = (a + b) * (b + 1)."""

import torch


def forward(a, b):
    c = a + b
    d = b + 1
    e = c * d
    return {"c": c, "d": d, "e": e}


def local_derivatives(a, b, dtype="float32"):
    """One number for each edge of the graph: how its head moves with its tail."""
    a, b = leaf(a, dtype), leaf(b, dtype)
    c, d = leaf(a + b, dtype), leaf(b + 1, dtype)
    edges = {"∂c/∂a": (a + b, a), "∂c/∂b": (a + b, b), "∂d/∂b": (b + 1, b), "∂e/∂c": (c * d, c), "∂e/∂d": (c * d, d)}
    return {name: torch.autograd.grad(head, tail)[0] for name, (head, tail) in edges.items()}


def gradients(a, b, dtype="float32"):
    """Backward fills the .grad of every leaf that asked for one."""
    a, b = leaf(a, dtype), leaf(b, dtype)
    forward(a, b)["e"].backward()
    return {"∂e/∂a": a.grad, "∂e/∂b": b.grad}


def leaf(value, dtype):
    """A number that keeps track of what is done with it."""
    return torch.as_tensor(value, dtype=getattr(torch, dtype)).detach().requires_grad_()


def main():
    print(forward(2.0, 1.0))
    print(local_derivatives(2.0, 1.0))
    print(gradients(2.0, 1.0))


if __name__ == "__main__":
    main()
