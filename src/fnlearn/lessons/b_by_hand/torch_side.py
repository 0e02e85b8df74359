"""Lesson B in PyTorch: fit y = w * x by hand, one sample at a time."""

import torch

X, Y = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]


def model(w, x):
    return w * x


def loss(w, x, y):
    return (model(w, x) - y) ** 2


def train(w, epochs, lr=0.01, dtype="float32"):
    """Every weight and gradient (a step each), and every epoch's last loss."""
    w = torch.tensor(w, dtype=getattr(torch, dtype), requires_grad=True)
    weights, gradients, losses = [], [], []
    for _ in range(epochs):
        for x, y in zip(X, Y, strict=True):
            value = loss(w, x, y)
            value.backward()
            with torch.no_grad():
                w -= lr * w.grad
            weights.append(w.detach().clone())
            gradients.append(w.grad.clone())
            w.grad.zero_()
        losses.append(value.detach())
    return {"w": torch.stack(weights), "gradient": torch.stack(gradients), "loss": torch.stack(losses)}


def main():
    history = train(1.0, epochs=1000)
    print("w =", float(history["w"][-1]), " f(4) =", float(model(history["w"][-1], 4.0)))


if __name__ == "__main__":
    main()
