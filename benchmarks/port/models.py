"""The models: those of the gallery as small as they stand there, and six of a size that people train."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from gallery import models as gallery
from gallery.nanogpt.torch_model import GPT
from gallery.resnet18.torch_model import ResNet
from gallery.vit.torch_model import ViT

DRAWS = ("vae",)  # in training numbers that can't be given to both sides


class Row(NamedTuple):
    """A model with its inputs and targets; loss: (out, *targets) → number."""

    name: str
    title: str
    make: Callable[[], tuple[nn.Module, tuple[Any, ...], tuple[Any, ...]]]
    loss: Callable[..., torch.Tensor]


def squares(out: Any) -> torch.Tensor:
    """The mean square of every number that comes out."""
    leaves = [x for x in torch.utils._pytree.tree_leaves(out) if isinstance(x, torch.Tensor) and x.is_floating_point()]
    return torch.stack([x.square().mean() for x in leaves]).sum()


def second(out: Any) -> torch.Tensor:
    """The loss that a model returns itself, beside its outputs."""
    return out[1]


class Mlp(nn.Module):
    """784-1024-1024-10."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class Lstm(nn.Module):
    """Two layers of 256, and a head on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(256, 256, 2, batch_first=True)
        self.head = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(x)
        return self.head(hidden[:, -1])


class Squeeze(nn.Module):
    """Channels weighted by what the whole picture says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(8, (channels // 4 + 4) // 8 * 8)
        self.down, self.up = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.up(scale))


class Inverted(nn.Module):
    """Wide, depthwise, narrow again."""

    def __init__(self, given: int, kernel: int, wide: int, out: int, squeeze: bool, swish: bool, stride: int) -> None:
        super().__init__()
        act: type[nn.Module] = nn.Hardswish if swish else nn.ReLU
        enter = [nn.Conv2d(given, wide, 1, bias=False), nn.BatchNorm2d(wide), act()] if wide != given else []
        depth = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        middle = [depth, nn.BatchNorm2d(wide), act(), *([Squeeze(wide)] if squeeze else [])]
        self.block = nn.Sequential(*enter, *middle, nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out))
        self.residual = stride == 1 and given == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(x) if self.residual else self.block(x)


MOBILE = (  # Howard et al. 2019, table 2: kernel, expanded, out, squeeze, hard swish, stride
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


class MobileNetV3(nn.Module):
    """The small one."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()]
        width = 16
        for kernel, wide, out, squeeze, swish, stride in MOBILE:
            layers.append(Inverted(width, kernel, wide, out, squeeze, swish, stride))
            width = out
        layers += [nn.Conv2d(width, 576, 1, bias=False), nn.BatchNorm2d(576), nn.Hardswish()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(576, 1024), nn.Hardswish(), nn.Linear(1024, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


def classes(make: Callable[[], nn.Module], shape: tuple[int, ...], count: int) -> Any:
    """A classifier with inputs and classes."""
    torch.manual_seed(0)
    return make(), (torch.randn(shape),), (torch.randint(0, count, (shape[0],)),)


def language() -> Any:
    """A GPT of six layers, which returns its own loss."""
    torch.manual_seed(0)
    idx, targets = (torch.randint(0, 256, (8, 128)) for _ in range(2))
    return GPT(words=256, size=384, heads=6, layers=6, block=128, dropout=0.0), (idx, targets), ()


def small(name: str) -> Any:
    """A model of the gallery; without dropout, whose masks would be others."""
    module, inputs = gallery.example(name)
    module = copy.deepcopy(module)
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return module, inputs, ()


def realistic(make: Callable[[], nn.Module], shape: tuple[int, ...], count: int) -> Callable[[], Any]:
    return partial(classes, make, shape, count)


ROWS = (
    *(Row(f"port_small_{name}", f"{name} of the gallery", partial(small, name), squares) for name in gallery.NAMES),
    Row("port_gpt", "GPT 6×384, 8×128 tokens", language, second),
    Row("port_lstm", "LSTM 2×256, 32×64 steps", realistic(Lstm, (32, 64, 256), 10), F.cross_entropy),
    Row("port_resnet18", "ResNet-18, 16×96²", realistic(partial(ResNet, 64), (16, 3, 96, 96), 10), F.cross_entropy),
    Row("port_mobilenet", "MobileNetV3, 16×96²", realistic(MobileNetV3, (16, 3, 96, 96), 1000), F.cross_entropy),
    Row(
        "port_vit",
        "ViT 6×192, 16×96²",
        realistic(partial(ViT, 96, 8, 192, 3, 6), (16, 3, 96, 96), 10),
        F.cross_entropy,
    ),
    Row("port_mlp", "MLP 784-1024-1024-10, 256", realistic(Mlp, (256, 784), 10), F.cross_entropy),
)
