"""The examples learn, say what they found, and take the steps of their twins in PyTorch."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import jax
import numpy as np
import pytest

import char_gpt
import char_gpt_torch
import digits_cnn
import digits_cnn_torch
import lstm
import lstm_torch
import vae
import vae_torch
from fnlearn import random

ROOT = Path(__file__).parent.parent
SMALL_GPT = {"size": 16, "heads": 2, "layers": 1}
SMALL_LSTM = {"size": 16, "hidden": 16}


@pytest.fixture(autouse=True)
def as_a_reader_runs_it():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def small(monkeypatch):
    """Little text and small networks that learn fast, on both sides."""
    (x, y), (x_test, y_test) = lstm.load()
    few = (x[:640], y[:640]), (x_test[:64], y_test[:64])
    for module in (lstm, lstm_torch):
        monkeypatch.setattr(module, "load", lambda: few)
        monkeypatch.setattr(module, "LR", 0.03)
    monkeypatch.setattr(char_gpt, "EVERY", 10)
    for module, name, sizes in (
        (lstm, "tagger", SMALL_LSTM), (lstm_torch, "Tagger", SMALL_LSTM),
        (char_gpt, "gpt", SMALL_GPT), (char_gpt_torch, "GPT", SMALL_GPT),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, partial(getattr(module, name), **sizes))


@pytest.mark.parametrize(
    ("twin", "sizes"),
    [(char_gpt_torch, SMALL_GPT), (digits_cnn_torch, {}), (lstm_torch, SMALL_LSTM), (vae_torch, {})],
    ids=["char_gpt", "digits_cnn", "lstm", "vae"],
)
def test_twins_take_the_same_steps(twin, sizes, equivalence):
    """From the weights of one seed, dropout and noise included; each loss differs from the one before."""
    answer = twin.compare(3, dtypes=(), **sizes)
    equivalence(answer)
    for losses in answer.curves["float64.loss"]:
        assert len(set(losses)) == 3


def test_digits_are_split_evenly():
    (x, y), (x_test, y_test) = digits_cnn.load()
    assert x.shape == (1437, 1, 8, 8)
    assert x_test.shape == (360, 1, 8, 8)
    assert not {image.tobytes() for image in x} & {image.tobytes() for image in x_test}
    assert np.abs(np.bincount(y) / len(y) - np.bincount(y_test) / len(y_test)).max() < 0.002
    learnt, apart = vae.load()
    np.testing.assert_array_equal(learnt, x.reshape(-1, 64))
    np.testing.assert_array_equal(apart, x_test.reshape(-1, 64))


def test_batches_hold_each_row_once():
    x = np.arange(200)
    batches = digits_cnn.Batches(x, -x, np.random.default_rng(0))
    first, second = (np.stack([part for part, _ in batches]) for _ in range(2))
    assert first.shape == (3, 64)
    assert len(np.unique(first)) == 192
    assert (first != second).any()
    assert all((a == -b).all() for a, b in batches)


def test_digits_cnn(capsys):
    accuracy = digits_cnn.main(epochs=1)
    assert accuracy > 0.6
    assert f"test accuracy {accuracy:.2%}" in capsys.readouterr().out
    assert digits_cnn_torch.main(epochs=1) > 0.6


def test_char_gpt(small, capsys, tmp_path):
    before, after = char_gpt.main(steps=20, curve=tmp_path / "curve.svg")
    assert after < before - 0.5
    passage = capsys.readouterr().out.split("curve.svg\n")[1]
    assert passage.startswith("\nThe statement ")
    assert len(passage) == len("\nThe statement ") + 400 + 1
    points = ElementTree.parse(tmp_path / "curve.svg").findall(".//{*}g[@id='axes_1']//{*}path")
    assert max(path.get("d", "").count("L") for path in points) >= 10  # the curve, and not the axes alone
    before, after = char_gpt_torch.main(steps=20)
    assert after < before - 0.5


def test_windows_are_followed_by_what_comes_next():
    text, kept = char_gpt.load()
    assert min(len(text) / 9, len(kept)) > 40_000
    x, y = char_gpt.windows(text, np.random.default_rng(0), 5)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    assert "".join(char_gpt.LETTERS[c] for c in x[0]) in "".join(char_gpt.LETTERS[c] for c in text)


@pytest.mark.parametrize("length", [1, 63, 64, 70])
def test_the_gpt_writes_by_the_last_letter(small, length):
    """A network that is made to say the letter after the one it reads counts on, also beyond what it sees at once."""
    net = char_gpt.gpt()
    params, _ = net.init(random.TorchGenerator(0))
    params = jax.tree.map(np.array, params)
    for branch in (params["blocks"]["0"]["attention"]["proj"], params["blocks"]["0"]["mlp"]["2"], params["places"]):
        branch.update(jax.tree.map(np.zeros_like, branch))
    letters = params["tokens"]["weight"]
    normal = (letters - letters.mean(1, keepdims=True)) / letters.std(1, keepdims=True)
    params["head"] = {"weight": np.roll(100 * normal, 1, axis=0), "bias": np.zeros(96, "float32")}
    text = char_gpt.write(net, params, jax.random.key(0), np.arange(length), count=3)
    assert text[: length + 3].tolist() == [*range(length + 3)]


def test_the_gpt_sees_nothing_that_comes_later(small):
    net = char_gpt.gpt()
    params, _ = net.init(random.TorchGenerator(0))
    x = np.arange(64)[None] % 96
    changed = np.where(np.arange(64) < 40, x, 3)
    one, other = (np.asarray(jax.jit(net.apply)(params, {}, seen)[0]) for seen in (x, changed))
    np.testing.assert_array_equal(one[:, :40], other[:, :40])
    assert (one[:, 40:] != other[:, 40:]).any()


def test_lstm(small, capsys):
    (x, y), _ = lstm.load()
    f1 = lstm.main(epochs=3)
    assert f1 > 0.2
    printed = capsys.readouterr().out
    assert f"F1 of spaces {f1:.4f}" in printed
    assert lstm_torch.main(epochs=3) > 0.2
    assert lstm.spaced(x[0], y[0]).replace(" ", "") == lstm.spaced(x[0], 0 * y[0])


def test_vae(capsys):
    loss = vae.main(epochs=5)
    assert loss < 28
    assert f"test {loss:.2f} nats an image" in capsys.readouterr().out
    assert vae_torch.main(epochs=5) < 28


def test_the_vae_loss_is_what_its_formula_says():
    rng = np.random.default_rng(0)
    x, logits = rng.random((3, 64)), rng.standard_normal((3, 64))
    mean, logvar = rng.standard_normal((3, 8)), rng.standard_normal((3, 8))
    p, std = 1 / (1 + np.exp(-logits)), np.exp(logvar / 2)
    ink = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum()
    kl = (np.log(1 / std) + (std**2 + mean**2) / 2 - 0.5).sum()  # of N(mean, std²) from N(0, 1)
    np.testing.assert_allclose(vae.negative_elbo((logits, mean, logvar), x), (ink + kl) / 3, rtol=1e-5)


def run(name, *arguments):
    """An example as its first lines say, by one command."""
    command = [sys.executable, f"examples/{name}.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.exhaustive
def test_digits_accuracy():
    accuracy = float(run("digits_cnn").split("test accuracy ")[1].split("%")[0])
    assert accuracy >= 98.5


@pytest.mark.exhaustive
def test_loss_curve_of_the_gpt(tmp_path):
    printed = run("char_gpt", "--steps", 400, "--curve", tmp_path / "curve.svg")
    losses = [float(line.split()[-1]) for line in printed.splitlines() if line.startswith("step")]
    assert len(losses) == 8
    assert sorted(losses, reverse=True) == losses
    assert losses[-1] < 1.9
    assert ElementTree.parse(tmp_path / "curve.svg").getroot().tag.endswith("svg")


@pytest.mark.exhaustive
def test_vae_and_lstm_by_command():
    assert float(run("vae").split("test ")[1].split()[0]) < 25
    assert float(run("lstm", "--epochs", 1).split("F1 of spaces ")[1].split()[0]) > 0.8
