"""The standard models, each written once: layers and functions have the same names in torch and in fnlearn, so the text
is the same for both, and what differs is the kit that it is called with.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Layers = list[Any]


class Kit(NamedTuple):
    """What a model is made of, from fnlearn or from torch.

    Args: nn, F: layers and functions. compose: as `fnlearn.nn.compose`. parameter: a shape → a parameter of a model's
        own. join: arrays and an axis → one array.
    Raises: nothing.
    """

    nn: Any
    F: Any
    compose: Callable[..., Any]
    parameter: Callable[[tuple[int, ...]], Any]
    join: Callable[..., Any]


class Model(NamedTuple):
    """A standard model with its task.

    Args: name, title: short, and with what it is. make: (kit, **size) → the model. loss: (kit, out, target) → a number.
        data: (generator, rows, **size) → input and target. sizes: by scale: "tiny" to see that it runs, "cpu",
        "accelerator". batches: rows of a batch, by scale; the first is measured first. tokens: of a row, for models
        whose rate is told in tokens.
    Raises: nothing.
    """

    name: str
    title: str
    make: Callable[..., Any]
    loss: Callable[[Kit, Any, Any], Any]
    data: Callable[..., tuple[Any, Any]]
    sizes: Mapping[str, Mapping[str, int]]
    batches: Mapping[str, tuple[int, ...]]
    tokens: Callable[[Mapping[str, int]], int] | None = None


def notes(kit: Kit) -> Any:
    """The notes' network: sigmoids of 8 → 6 → 4 → 1."""
    nn = kit.nn
    return nn.Sequential(nn.Linear(8, 6), nn.Sigmoid(), nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 1), nn.Sigmoid())


def mlp(kit: Kit, inputs: int, width: int, classes: int) -> Any:
    """Two hidden layers."""
    nn = kit.nn
    hidden = nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
    return nn.Sequential(*hidden, nn.Linear(width, classes))


def resnet(kit: Kit, base: int, blocks: int, bottleneck: int, classes: int, picture: int) -> Any:
    """Residual convolutions in four stages: with `blocks` 2 ResNet-18, with bottlenecks of 3, 4, 6 and 3 ResNet-50."""
    nn, F = kit.nn, kit.F
    many = (3, 4, 6, 3) if bottleneck else (blocks,) * 4
    grown = 4 if bottleneck else 1

    def conv(given: int, out: int, size: int, stride: int = 1) -> Any:
        return nn.Conv2d(given, out, size, stride, size // 2, bias=False)

    def block(given: int, width: int, stride: int) -> Any:
        out = width * grown
        parts: dict[str, Any] = {"bn1": nn.BatchNorm2d(width), "bn2": nn.BatchNorm2d(width)}
        if bottleneck:
            parts |= {"conv1": conv(given, width, 1), "conv2": conv(width, width, 3, stride)}
            parts |= {"conv3": conv(width, out, 1), "bn3": nn.BatchNorm2d(out)}
        else:
            parts |= {"conv1": conv(given, width, 3, stride), "conv2": conv(width, width, 3)}
        if stride > 1 or given != out:
            parts["shortcut"] = nn.Sequential(conv(given, out, 1, stride), nn.BatchNorm2d(out))

        def forward(net: Any, x: Any) -> Any:
            y = net.bn2(net.conv2(F.relu(net.bn1(net.conv1(x)))))
            y = net.bn3(net.conv3(F.relu(y))) if bottleneck else y
            return F.relu(y + (net.shortcut(x) if "shortcut" in parts else x))

        return kit.compose(forward, **parts)

    layers: Layers = []
    given = base
    for stage, count in enumerate(many):
        for position in range(count):
            layers.append(block(given, base << stage, 2 if stage and not position else 1))
            given = (base << stage) * grown

    def forward(net: Any, x: Any) -> Any:
        x = F.max_pool2d(F.relu(net.bn(net.stem(x))), 3, 2, 1)
        return net.head(net.blocks(x).mean((2, 3)))

    stem, head = conv(3, base, 7, 2), nn.Linear(given, classes)
    return kit.compose(forward, stem=stem, bn=nn.BatchNorm2d(base), blocks=nn.Sequential(*layers), head=head)


def unet(kit: Kit, base: int, levels: int, classes: int, picture: int) -> Any:
    """Convolutions down to small pictures and up again, beside what was there on the way down."""
    nn = kit.nn

    def double(given: int, out: int) -> Any:
        one, two = nn.Conv2d(given, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        return nn.Sequential(one, nn.BatchNorm2d(out), nn.ReLU(), two, nn.BatchNorm2d(out), nn.ReLU())

    widths = [base << level for level in range(levels + 1)]
    down = [double(given, out) for given, out in zip([3, *widths], widths, strict=False)]
    up = [nn.ConvTranspose2d(2 * width, width, 2, 2) for width in widths[:-1]]
    leave = [double(2 * width, width) for width in widths[:-1]]

    def forward(net: Any, x: Any) -> Any:
        skips = [net.down[0](x)]
        for enter in net.down[1:]:
            skips.append(enter(kit.F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for level in reversed(range(levels)):
            x = net.leave[level](kit.join([skips[level], net.up[level](x)], 1))
        return net.out(x)

    return kit.compose(forward, down=down, up=up, leave=leave, out=nn.Conv2d(base, classes, 1))


def lstm(kit: Kit, layers: int, width: int, words: int, steps: int) -> Any:
    """A language model of recurrent layers."""
    nn = kit.nn

    def forward(net: Any, ids: Any) -> Any:
        hidden, _ = net.lstm(net.embed(ids))
        return net.head(hidden)

    recurrent = nn.LSTM(width, width, layers, batch_first=True)
    return kit.compose(forward, embed=nn.Embedding(words, width), lstm=recurrent, head=nn.Linear(width, words))


def _block(kit: Kit, width: int, heads: int, causal: bool) -> Any:
    """Attention and two layers, each normalised first and added to what came in."""
    nn, F = kit.nn, kit.F

    def forward(net: Any, x: Any) -> Any:
        b, t, _ = x.shape
        parts = net.qkv(net.ln1(x)).reshape(b, t, 3, heads, width // heads)
        q, k, v = (parts[:, :, i].swapaxes(1, 2) for i in range(3))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + net.out(y.swapaxes(1, 2).reshape(b, t, width))
        return x + net.down(F.gelu(net.up(net.ln2(x))))

    norms = {"ln1": nn.LayerNorm(width), "ln2": nn.LayerNorm(width)}
    dense = {"qkv": nn.Linear(width, 3 * width), "out": nn.Linear(width, width)}
    return kit.compose(forward, **norms, **dense, up=nn.Linear(width, 4 * width), down=nn.Linear(4 * width, width))


def gpt(kit: Kit, layers: int, width: int, heads: int, words: int, steps: int) -> Any:
    """A decoder that predicts the next word at every position."""
    nn = kit.nn

    def forward(net: Any, ids: Any) -> Any:
        return net.head(net.norm(net.blocks(net.embed(ids) + net.position)))

    blocks = nn.Sequential(*[_block(kit, width, heads, causal=True) for _ in range(layers)])
    ends = {"norm": nn.LayerNorm(width), "head": nn.Linear(width, words, bias=False)}
    return kit.compose(
        forward, position=kit.parameter((1, steps, width)), embed=nn.Embedding(words, width), blocks=blocks, **ends
    )


def vit(kit: Kit, layers: int, width: int, heads: int, patch: int, classes: int, picture: int) -> Any:
    """A picture as a sequence of patches, and the mean of what comes out."""
    nn = kit.nn

    def forward(net: Any, x: Any) -> Any:
        x = net.patches(x).reshape(x.shape[0], width, -1).swapaxes(1, 2) + net.position
        return net.head(net.norm(net.blocks(x)).mean(1))

    blocks = nn.Sequential(*[_block(kit, width, heads, causal=False) for _ in range(layers)])
    parts = {"patches": nn.Conv2d(3, width, patch, patch), "norm": nn.LayerNorm(width)}
    position = kit.parameter((1, (picture // patch) ** 2, width))
    return kit.compose(forward, position=position, blocks=blocks, **parts, head=nn.Linear(width, classes))


def _table(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    return rng.standard_normal((rows, 8), np.float32), rng.integers(0, 2, (rows, 1)).astype(np.float32)


def _vectors(rng: np.random.Generator, rows: int, *, inputs: int, classes: int, **_: int) -> tuple[Any, Any]:
    return rng.standard_normal((rows, inputs), np.float32), rng.integers(0, classes, rows, np.int32)


def _pictures(rng: np.random.Generator, rows: int, *, picture: int, classes: int, **_: int) -> tuple[Any, Any]:
    x = rng.standard_normal((rows, 3, picture, picture), np.float32)
    return x, rng.integers(0, classes, rows, np.int32)


def _masks(rng: np.random.Generator, rows: int, *, picture: int, classes: int, **_: int) -> tuple[Any, Any]:
    x = rng.standard_normal((rows, 3, picture, picture), np.float32)
    return x, rng.integers(0, classes, (rows, picture, picture), np.int32)


def _text(rng: np.random.Generator, rows: int, *, words: int, steps: int, **_: int) -> tuple[Any, Any]:
    ids = rng.integers(0, words, (rows, steps + 1), np.int32)
    return ids[:, :-1], ids[:, 1:]


def _binary(kit: Kit, out: Any, target: Any) -> Any:
    return kit.F.binary_cross_entropy(out, target)


def _classes(kit: Kit, out: Any, target: Any) -> Any:
    return kit.F.cross_entropy(out, target)


def _words(kit: Kit, out: Any, target: Any) -> Any:
    return kit.F.cross_entropy(out.reshape(-1, out.shape[-1]), target.reshape(-1))


def _steps(size: Mapping[str, int]) -> int:
    return size["steps"]


def _at(tiny: Any, cpu: Any, accelerator: Any) -> dict[str, Any]:
    return {"tiny": tiny, "cpu": cpu, "accelerator": accelerator}


MODELS = (
    Model("notes", "the notes' network", notes, _binary, _table, _at({}, {}, {}),
          _at((16,), (256, 32, 2048), (256, 32, 2048))),
    Model("mlp", "MLP", mlp, _classes, _vectors,
          _at({"inputs": 12, "width": 16, "classes": 5}, {"inputs": 784, "width": 1024, "classes": 10},
              {"inputs": 1024, "width": 8192, "classes": 1000}),
          _at((8, 16), (256, 64, 1024), (2048, 512, 8192))),
    Model("resnet", "ResNet", resnet, _classes, _pictures,
          _at({"base": 4, "blocks": 1, "bottleneck": 0, "classes": 5, "picture": 16},
              {"base": 64, "blocks": 2, "bottleneck": 0, "classes": 10, "picture": 96},
              {"base": 64, "blocks": 3, "bottleneck": 1, "classes": 1000, "picture": 224}),
          _at((2,), (16, 4, 64), (128, 32, 256))),
    Model("unet", "U-Net", unet, _classes, _masks,
          _at({"base": 4, "levels": 1, "classes": 2, "picture": 8},
              {"base": 16, "levels": 3, "classes": 2, "picture": 64},
              {"base": 64, "levels": 4, "classes": 2, "picture": 256}),
          _at((2,), (8, 2, 32), (16, 4, 64))),
    Model("lstm", "LSTM", lstm, _words, _text,
          _at({"layers": 1, "width": 8, "words": 11, "steps": 4},
              {"layers": 2, "width": 256, "words": 256, "steps": 64},
              {"layers": 2, "width": 1024, "words": 8192, "steps": 128}),
          _at((2,), (32, 8, 128), (128, 32, 512)), _steps),
    Model("gpt", "GPT", gpt, _words, _text,
          _at({"layers": 2, "width": 8, "heads": 2, "words": 11, "steps": 4},
              {"layers": 6, "width": 384, "heads": 6, "words": 256, "steps": 128},
              {"layers": 12, "width": 768, "heads": 12, "words": 50304, "steps": 1024}),
          _at((2,), (8, 2, 32), (16, 4, 32)), _steps),
    Model("vit", "ViT", vit, _classes, _pictures,
          _at({"layers": 1, "width": 8, "heads": 2, "patch": 4, "classes": 5, "picture": 8},
              {"layers": 6, "width": 192, "heads": 3, "patch": 8, "classes": 10, "picture": 96},
              {"layers": 12, "width": 768, "heads": 12, "patch": 16, "classes": 1000, "picture": 224}),
          _at((2,), (16, 4, 64), (128, 32, 256))),
)  # fmt: skip
