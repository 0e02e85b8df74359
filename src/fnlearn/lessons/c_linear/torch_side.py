"""Lesson C in PyTorch: one linear layer from a seed, summed squared error, SGD."""

import torch

SEED = 0
X, Y = [[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]]


def start(bias=True, dtype="float32"):
    """Linear(1, 1) as the seed draws it: in float32, whatever it is trained in."""
    torch.manual_seed(SEED)
    return torch.nn.Linear(1, 1, bias=bias).to(getattr(torch, dtype))


def loss(layer, x, y):
    return torch.nn.functional.mse_loss(layer(x), y, reduction="sum")  # size_average=False, in the notes' words


def train(epochs, bias=True, dtype="float32"):
    """The weights, the prediction for 4.0, and every epoch's loss."""
    layer, losses = start(bias, dtype), []
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    x, y = (torch.tensor(values, dtype=getattr(torch, dtype)) for values in (X, Y))
    for _ in range(epochs):
        optimizer.zero_grad()
        value = loss(layer, x, y)
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    prediction = layer(torch.tensor([[4.0]], dtype=x.dtype)).detach()
    return {**layer.state_dict(), "prediction for 4": prediction, "loss": torch.stack(losses)}


def shapes(in_features, out_features, rows=3):
    """The notes' table: what goes into Linear(in, out), what it holds, and what comes out."""
    layer = torch.nn.Linear(in_features, out_features)
    x = torch.ones(rows, in_features)
    return {"x": x.shape, "weight": layer.weight.shape, "bias": layer.bias.shape, "y": layer(x).shape}


def main():
    for epochs in (100, 1000):
        print(epochs, train(epochs)["prediction for 4"])
    print(shapes(8, 6))


if __name__ == "__main__":
    main()
