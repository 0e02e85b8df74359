"""Reports: every number as JSON, the verdict in a terminal, and a page where the first difference is seen at once."""

import io
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from rich.console import Console

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.equivalence import Answer, as_json, check, html, pair, tables, training, worst_ratio

LOSSES = (torch.nn.functional.cross_entropy, F.cross_entropy)


def net(of, **norm):
    middle = of.Sequential(of.Linear(8, 8), of.LayerNorm(8, **norm), of.Tanh())
    return of.Sequential(of.Linear(6, 8), middle, of.Linear(8, 3))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def asked(**norm):
    torch.manual_seed(0)
    both = pair(net(torch.nn), net(nn, **norm))
    data = [((normal(5, 6, seed=i),), np.arange(5) % 3) for i in range(3)]
    run = training(both, lambda params: torch.optim.SGD(params, 0.1), optim.sgd(0.1), data, LOSSES)
    return (*check(both, (normal(5, 6),)), run)


@pytest.fixture(scope="module")
def right():
    return asked()


@pytest.fixture(scope="module")
def wrong():
    return asked(eps=1e-2)


def printed(answers):
    written = io.StringIO()
    Console(file=written, width=160).print(tables(answers))
    return written.getvalue()


def test_table(right, wrong):
    assert "│ differs" not in printed(right)
    text = printed(wrong)
    assert re.search(r"layers +│ no +│ +\d+ +│ +[\d.e+]+ +│ 1\.1 ", text)
    assert "the first place that differs is 1.1 (LayerNorm)" in text
    assert re.search(r"layers eval\.float32\.1\.1\.out\.0 +│ differs", text)


def test_json(right, wrong):
    told = json.loads(as_json(wrong))
    assert (told["ok"], told["first"]) == (False, "layers: 1.1")
    assert [answer["question"] for answer in told["answers"]] == ["setup", "layers", "forward", "backward", "training"]
    leaf = next(leaf for leaf in told["answers"][1]["leaves"] if leaf["name"] == "eval.float32.1.1.out.0")
    assert not leaf["ok"]
    assert leaf["ratio"] == pytest.approx(leaf["jax_error"] / leaf["torch_error"])
    assert len(told["answers"][-1]["curves"]["float64.loss"][0]) == 3
    assert {"torch", "jax", "python"} <= told["environment"].keys()
    assert json.loads(as_json(right))["ok"]


def test_worst_ratio(right):
    assert np.isnan(worst_ratio(Answer("setup", ())))
    assert 0 < worst_ratio(right[1]) < 10


def test_page_needs_no_other_file(wrong, tmp_path):
    html({"net": wrong}, tmp_path / "net.html")
    text = (tmp_path / "net.html").read_text()
    assert not re.search(r'(src|href)="?(?!#)[^"]|@import|url\((?!#)', text.replace("xlink:href", "ref"))
    assert text.count("<svg") >= 3  # eval and train by layer, and the losses of two dtypes
    assert "They part at 1.1" in text


def test_names_are_escaped(tmp_path):
    html({"<script>": (Answer("layers", (), ("<b>",), (), "<i>"),)}, tmp_path / "net.html")
    text = (tmp_path / "net.html").read_text()
    assert "<script>" not in text
    assert "&lt;i&gt;" in text


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PROBE = """<script>
const seen = element => { const r = element.getBoundingClientRect(); return [r.top, r.bottom, r.left, r.right] };
const size = element => parseFloat(getComputedStyle(element).fontSize);
const verdict = document.querySelector("#verdict"), chart = document.querySelector(".figure svg");
const texts = [...document.querySelectorAll("svg text")];
document.body.dataset.measured = JSON.stringify({
  verdict: seen(verdict), size: size(verdict), text: verdict.innerText, chart: seen(chart),
  wide: document.documentElement.scrollWidth,
  background: getComputedStyle(document.querySelector("header")).backgroundColor,
  marks: texts.filter(text => text.textContent.startsWith("first:")).map(text => [text.textContent, size(text)]),
});
</script>"""


def measured(answers, path, width=1280):
    """What a browser makes of a page."""
    assert CHROMIUM is not None
    html(answers, path)
    path.write_text(path.read_text() + PROBE)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    home = {**os.environ, "HOME": str(path.parent)}
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120, env=home)
    found = re.search(r'data-measured="([^"]*)"', done.stdout)
    assert found, done.stderr
    return json.loads(found[1].replace("&quot;", '"'))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
def test_the_first_difference_is_seen_at_once(right, wrong, tmp_path):
    page = measured({"net": wrong}, tmp_path / "wrong.html")
    assert page["text"] == "They part at 1.1"
    assert page["size"] >= 28
    assert page["verdict"][1] < 200  # near the top
    assert page["chart"][0] < 900  # the chart begins on the first screen
    assert page["background"] == "rgb(176, 0, 32)"
    assert [text for text, _ in page["marks"]] == ["first: 1.1"] * 2
    assert all(size >= 9 for _, size in page["marks"])
    fine = measured({"net": right}, tmp_path / "right.html")
    assert fine["text"] == "The two sides agree"
    assert fine["background"] == "rgb(27, 110, 60)"
    assert fine["marks"] == []
    narrow = measured({"net": wrong}, tmp_path / "wrong.html", width=500)
    assert narrow["wide"] <= 500  # tables scroll by themselves
