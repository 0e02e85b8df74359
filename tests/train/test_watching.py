"""What is told of a run: lines of JSON, TensorBoard, the bar, a profile, a picture."""

import io
import json
import struct
import xml.etree.ElementTree as ET

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from fnlearn import optim
from fnlearn.train import TrainState, device, fit, log, make_step, plot_history
from fnlearn.train.checkpoint import Checkpoints

OPTIMIZER = optim.sgd(0.1)
STEP = make_step(
    lambda p, b, x, key: (((p["w"] - x["x"]) ** 2).mean(), (b, {"w": p["w"], "two": p["w"] * x["x"][:2]})), OPTIMIZER
)
ROWS = {"x": np.arange(12, dtype=np.float32)}
BATCHES = [{"x": x} for x in ROWS["x"].reshape(6, 2)]


def start():
    return TrainState.create({"w": jnp.float32(0)}, OPTIMIZER)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("data", "size"), [(ROWS, 2), (BATCHES, None)], ids=["arrays", "batches"])
def test_a_line_for_every_epoch(tmp_path, data, size):
    """The means of its metrics that are numbers, the place, and rates."""
    path = tmp_path / "made" / "log.jsonl"
    _, history = fit(start(), STEP, data, epochs=3, batch_size=size, log=path, tokens_per_row=5)
    told = [record for record in lines(path) if "batch" not in record]
    assert [(r["epoch"], r["step"]) for r in told] == [(0, 6), (1, 12), (2, 18)]
    np.testing.assert_allclose([r["loss"] for r in told], history["loss"].mean(1), rtol=1e-6)
    np.testing.assert_allclose([r["w"] for r in told], history["w"].mean(1), rtol=1e-6)
    assert "two" not in told[0]
    for r in told:
        assert r["rows_per_s"] == pytest.approx(2 * r["steps_per_s"])
        assert r["tokens_per_s"] == pytest.approx(5 * r["rows_per_s"])
    assert told[0]["time"] <= told[1]["time"] <= told[2]["time"]


def test_within_a_long_epoch_there_are_lines_too(monkeypatch):
    """The means since the line before, and where it is."""
    monkeypatch.setattr(log, "OFTEN", 0.0)
    told: list[log.Record] = []
    _, history = fit(start(), STEP, BATCHES, epochs=1, log=told.append)
    assert [(r["epoch"], r.get("batch"), r["step"]) for r in told] == [*((0, i, i) for i in range(1, 7)), (0, None, 6)]
    np.testing.assert_allclose([r["loss"] for r in told[:-1]], history["loss"][0], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["arrays", "batches"])
def test_the_share_of_the_peak_where_it_is_known(monkeypatch, kind, dtype):
    """By the dtype of the products; nothing is traced again for it."""
    traces: list[None] = []
    peaks = {"tensorfloat32": 1e9, "bfloat16": 4e9}

    def loss(p, b, x, key):
        traces.append(None)
        return ((x @ p["w"]) ** 2).mean(), (b, {})

    def told(source):
        records: list[log.Record] = []
        step = make_step(loss, OPTIMIZER)
        state = TrainState.create({"w": jnp.ones((8, 8), dtype)}, OPTIMIZER)
        state, _ = fit(state, step, source, epochs=3, log=records.append)
        assert len(traces) == 1
        return records, device.product_flops(step, state, rows)

    rows = jnp.ones((16, 8), dtype)
    source = rows if kind == "arrays" else lambda epoch: [rows] * 2
    assert "mfu" not in told(source)[0][0]  # a CPU
    monkeypatch.setattr(device, "CHIPS", (device.Chip("CPU", "cpu", peaks, 0, 0, 1, None, "made up"),))
    traces.clear()
    records, flops = told(source)
    assert flops == 2 * (2 * 16 * 8 * 8)
    for record in records:
        used = record["steps_per_s"] * flops
        assert record["mfu"] == pytest.approx(used / peaks["tensorfloat32" if dtype == "float32" else dtype])


@pytest.mark.filterwarnings("ignore")
def test_by_default_a_run_with_a_directory_is_logged_and_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(start(), STEP, ROWS, epochs=1)
    assert not [*tmp_path.iterdir()]
    with Checkpoints(tmp_path / "run") as saved:
        fit(start(), STEP, ROWS, epochs=2, checkpoints=saved)
    assert len(lines(tmp_path / "run" / "log.jsonl")) == 2
    with Checkpoints(tmp_path / "other") as saved:
        fit(start(), STEP, ROWS, epochs=1, checkpoints=saved, log=[])
    assert not (tmp_path / "other" / "log.jsonl").exists()


def test_a_line_that_was_cut_off_goes_and_the_others_stay(tmp_path):
    path = tmp_path / "log.jsonl"
    log.jsonl(path)({"loss": 1.0, "step": 1})
    with path.open("a") as file:
        file.write('{"loss": 0.')
    log.jsonl(path)({"loss": float("nan"), "step": 2})
    assert lines(path) == [{"loss": 1.0, "step": 1}, {"loss": None, "step": 2}]


def test_tensorboard_has_the_same_numbers(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    with log.tensorboard(tmp_path) as board:
        _, history = fit(start(), STEP, ROWS, epochs=2, log=[board, tmp_path / "log.jsonl"])
    (file,) = tmp_path.glob("events.*")
    data, events = file.read_bytes(), []
    while data:  # a record: its length, a checksum, itself, a checksum
        (length,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    losses = {e.step: v.simple_value for e in events for v in e.summary.value if v.tag == "loss"}
    assert losses == pytest.approx(dict(zip((1, 2), history["loss"].mean(1), strict=True)))
    assert len(lines(tmp_path / "log.jsonl")) == 2


def test_the_bar_shows_batches_and_their_rate(monkeypatch):
    screen, bar = io.StringIO(), log._bar

    def on_screen(shown):
        made = bar(shown)
        made.live.console = Console(file=screen, force_terminal=True, width=140)
        return made

    monkeypatch.setattr(log, "_bar", on_screen)
    monkeypatch.setattr(log, "QUICK", 0.0)
    fit(start(), STEP, BATCHES, epochs=2, progress=True, tokens_per_row=7)
    assert "2/2" in screen.getvalue()
    assert "tokens/s" in screen.getvalue()


@pytest.mark.parametrize("data", [ROWS, BATCHES], ids=["arrays", "batches"])
def test_a_profile_is_written(tmp_path, data):
    fit(start(), STEP, data, epochs=2, profile=tmp_path)
    assert [*tmp_path.rglob("*.xplane.pb")]


def test_a_run_too_short_for_a_profile_says_so(tmp_path):
    with pytest.warns(UserWarning, match="there is no profile"):
        fit(start(), STEP, BATCHES[:1], epochs=1, profile=tmp_path)


def test_the_picture_has_a_curve_of_every_metric(tmp_path):
    _, history = fit(start(), STEP, ROWS, epochs=3, batch_size=5)
    path = plot_history(history, tmp_path / "history.svg")
    texts = {"".join(t.itertext()).strip() for t in ET.parse(path).iter() if t.tag.endswith("}text")}
    assert {"loss", "w", "epochs"} <= texts
    assert "two" not in texts
    assert plot_history(history, tmp_path / "again.svg").read_bytes() == path.read_bytes()
    plot_history({"loss": np.array([[1.0, np.nan], [np.nan, np.nan]])}, tmp_path / "nan.svg")
    with pytest.raises(ValueError, match="got \\['accuracy'\\] of \\['loss', 'w'\\]"):
        plot_history(history, path, ["accuracy"])
    with pytest.raises(ValueError, match="must have metrics of shape"):
        plot_history({}, path)


def test_watching_changes_no_number_and_traces_nothing_anew(tmp_path):
    traces: list[None] = []

    def loss(p, b, x, key):
        traces.append(None)
        return ((p["w"] - x["x"]) ** 2).mean(), (b, {})

    step = make_step(loss, OPTIMIZER)
    plain, _ = fit(start(), step, BATCHES, epochs=2)
    watched, _ = fit(start(), step, BATCHES, epochs=2, log=tmp_path / "l", after_epoch=lambda *_: None)
    np.testing.assert_array_equal(*(jax.device_get(s.params["w"]) for s in (plain, watched)))
    assert len(traces) == 1
