"""Lesson D's two bugs in PyTorch: when does each of them show?"""

import torch


class Overwritten(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = torch.nn.Linear(8, 6)
        self.linear2 = torch.nn.Linear(6, 4)
        self.linear1 = torch.nn.Linear(4, 1)  # meant to be linear3: the first layer is gone

    def forward(self, x):
        x = torch.sigmoid(self.linear1(x))
        x = torch.sigmoid(self.linear2(x))
        return torch.sigmoid(self.linear3(x))


class Undefined(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = torch.nn.Linear(8, 1)

    def forward(self, x):
        out = torch.sigmoid(self.linear1(x))  # noqa: F841
        return y_pred  # noqa: F821  # type: ignore[name-defined]  meant to be out: no such name


def overwritten():
    """Building succeeds, and so would a checkpoint; the first batch fails."""
    return stages(Overwritten)


def undefined():
    """Python looks a name up when its line runs: the first batch fails."""
    return stages(Undefined)


def stages(build):
    """What comes of each step on the way to training."""
    net, built = attempt(build)
    _, listed = attempt(lambda: list(net.state_dict()))
    _, ran = attempt(lambda: net(torch.ones(32, 8)))
    return {"build the model": built, "list its weights": listed, "run the first batch": ran}


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
