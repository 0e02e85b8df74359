"""Lesson D in PyTorch: an 8-6-4-1 network of sigmoids from a seed, on the Pima diabetes table."""

import torch
import torch.nn.functional as F

from fnlearn.lessons.d_hidden import pima

SEED = 0


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = torch.nn.Linear(8, 6)
        self.linear2 = torch.nn.Linear(6, 4)
        self.linear3 = torch.nn.Linear(4, 1)

    def forward(self, x):
        x = F.sigmoid(self.linear1(x))
        x = F.sigmoid(self.linear2(x))
        return F.sigmoid(self.linear3(x))


def start(dtype="float32"):
    """The network as the seed draws it: in float32, whatever it is trained in."""
    torch.manual_seed(SEED)
    return Net().to(getattr(torch, dtype))


def loss(net, x, y):
    return F.binary_cross_entropy(net(x), y)


def accuracy(net, x, y):
    return ((net(x) > 0.5) == (y > 0.5)).to(x.dtype).mean()


def train(table, epochs, batch_size, lr, dtype="float32"):
    """The loss of every step, the accuracy on the test rows, and the weights."""
    x, y, x_test, y_test = (torch.tensor(part, dtype=getattr(torch, dtype)) for part in table)
    net, losses = start(dtype), []
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    for _ in range(epochs):
        for rows in zip(x.split(batch_size), y.split(batch_size), strict=True):
            optimizer.zero_grad()
            value = loss(net, *rows)
            value.backward()
            optimizer.step()
            losses.append(value.detach())
    return {"loss": torch.stack(losses), "test accuracy": accuracy(net, x_test, y_test).detach(), **net.state_dict()}


def main():
    result = train(pima.load(), epochs=100, batch_size=32, lr=0.1)
    print("loss", float(result["loss"][-1]), "test accuracy", float(result["test accuracy"]))


if __name__ == "__main__":
    main()
