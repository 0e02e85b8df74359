"""What a run would need: on paper as mathematics says, compiled as on paper, and the step that is compiled trains."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console

from fnlearn import cli, optim
from fnlearn.train import TrainState, sharding
from fnlearn.train.device import CHIPS
from fnlearn.train.dry_run import RULES, Decoder, dry_run, shapes, train_step
from fnlearn.train.plan import limits, parameters, plan, seconds, sent, tables

SMALL = Decoder(layers=3, width=32, heads=4, hidden=64, words=64, steps=8)  # arrays are large enough to be split
LAYOUTS = {"data": ({"data": 4}, None), "fsdp": ({"data": 4}, "data"), "tensor": ({"model": 4}, None),
           "combined": ({"data": 2, "model": 2}, "data")}  # fmt: skip
CHIP = {chip.name: chip for chip in CHIPS}


@pytest.fixture(scope="module")
def compiled():
    return {name: dry_run(SMALL, *LAYOUTS[name], rows=2) for name in ("data", "fsdp", "tensor")}


def on_paper(name):
    axes, fsdp = LAYOUTS[name]
    return {axis: 2 * count for axis, count in sent(SMALL, axes, fsdp is not None, 2).items()}  # float32, not bfloat16


def test_seven_billion():
    assert parameters(Decoder()) == 6_738_415_616  # Llama 2's
    for size in (SMALL, Decoder()):
        assert sum(np.prod(x.shape) for x in jax.tree.leaves(shapes(size))) == parameters(size)


def test_data_parallel_sends_what_is_on_paper(compiled):
    assert set(compiled["data"]["sent"]) == {"all-reduce"}
    assert compiled["data"]["sent"]["all-reduce"] == pytest.approx(on_paper("data")["data"], rel=2e-3)  # and the loss
    assert on_paper("data")["data"] == 4 * parameters(SMALL) * 2 * 3 / 4


def test_tensor_parallel_sends_what_is_on_paper(compiled):
    """Three sums a layer more: queries, keys and values, and both gates, each by themselves."""
    activations = 4 * 2 * SMALL.steps * SMALL.width * 2 * 3 / 4
    assert on_paper("tensor")["model"] == (5 * SMALL.layers + 2) * activations
    beside = 4 * 2 * SMALL.steps * 10  # numbers of the loss, one for a token
    assert compiled["tensor"]["sent"]["all-reduce"] == pytest.approx((8 * SMALL.layers + 2) * activations, abs=beside)


def test_fully_sharded_gathers_twice(compiled):
    blocks = SMALL._replace(words=0)  # the vocabulary is gathered in other ways
    share = 4 * (parameters(blocks) - SMALL.width) * 3 / 4
    assert 2 * share <= compiled["fsdp"]["sent"]["all-gather"] <= 2.5 * share
    assert on_paper("fsdp")["data"] == 4 * parameters(SMALL) * 3 * 3 / 4


def test_each_device_holds_its_share(compiled):
    whole = 12 * parameters(SMALL)
    held = {name: found["state_bytes"] / whole for name, found in compiled.items()}
    assert held["data"] == pytest.approx(1, rel=0.01)
    assert held["fsdp"] == pytest.approx(1 / 4, rel=0.03)  # norms are whole
    assert 1 / 4 < held["tensor"] < 0.3
    assert all(compiled[name]["temporary_bytes"] < compiled["data"]["temporary_bytes"] for name in ("fsdp", "tensor"))


@pytest.mark.exhaustive
def test_the_step_that_is_compiled_trains_alike_in_every_layout():
    keys = jax.random.split(jax.random.key(0), 20)
    drawn = jax.tree.map(lambda x: 0.3 * jax.random.normal(keys[x.size % 20], x.shape), shapes(SMALL))
    ids = jax.random.randint(jax.random.key(1), (4, SMALL.steps + 1), 0, SMALL.words)
    losses = {}
    for name, (axes, fsdp) in LAYOUTS.items():
        over = sharding.mesh(axes, jax.devices("cpu"))
        state = TrainState.create(drawn, optim.adamw(1e-4))
        places = sharding.layout(state, over, RULES if "model" in axes else (), fsdp, least=1)
        step = sharding.jitted(train_step(SMALL, over), places)
        batch = sharding.place(ids, sharding.batches(over, "data" if "data" in axes else ()))
        state, first = step(sharding.place(state, places), batch)
        losses[name] = [first["loss"], step(state, batch)[1]["loss"]]
    assert losses["data"][1] < losses["data"][0]
    for name in LAYOUTS:
        assert [float(x) for x in losses[name]] == pytest.approx([float(x) for x in losses["data"]], rel=1e-5)


def took(row, name):
    found = seconds(row, CHIP[name])
    assert found is not None
    return found


def test_seconds_are_those_of_links_and_networks():
    (_, fsdp, combined) = plan([64], dry=False)
    computing, sending = took(fsdp, "H100")
    assert computing == pytest.approx(8 * 6_738_415_616 * 2048 / (0.5 * 989.4e12))
    assert sending == pytest.approx(fsdp["sent"]["data"] * (1 / 450e9 + 1 / 8 / 50e9))
    assert took(combined, "H100")[1] == pytest.approx(
        combined["sent"]["model"] / 450e9 + combined["sent"]["data"] / 50e9
    )
    assert took(fsdp, "TPU v5e")[1] == pytest.approx(fsdp["sent"]["data"] / 200e9)
    assert seconds(fsdp, CHIP["L4"]) is None
    assert seconds(plan([512], dry=False)[0], CHIP["TPU v5e"]) is None  # more than a pod


def test_limits():
    """Twice the tokens, twice the devices, until each has one sequence; a pod ends where it ends."""
    few = limits("fsdp", CHIP["H100"], 2**18)
    assert few is not None
    assert limits("fsdp", CHIP["H100"], 2**19) == 2 * few
    assert limits("fsdp", CHIP["TPU v5e"], 2**30) == 256
    assert limits("tensor", CHIP["TPU v5p"], 2**22) == 32  # heads
    assert limits("fsdp", CHIP["L4"], 2**22) is None
    for count in (few, 2 * few):
        row = {"devices": count, "axes": {"data": count}, "rows": 2**18 / 2048 / count,
               "sent": sent(Decoder(), {"data": count}, True, 1)}  # fmt: skip
        computing, sending = took(row, "H100")
        assert (sending <= computing and count <= 2**18 / 2048) == (count == few)


@pytest.mark.exhaustive
def test_a_process_compiles_for_devices_that_are_not_there():
    found = plan([8], SMALL)  # whose four heads can't be split over eight
    assert [row["layout"] for row in found] == ["data", "fsdp"]
    assert found[0]["compiled"]["count"]["all-reduce"] > 0
    assert found[0]["compiled"]["state_bytes"] == pytest.approx(found[0]["state_bytes"], rel=0.02)
    shown = Console(width=200)
    with shown.capture() as text:
        shown.print(*tables(found, 2**20))
    assert "as compiled" in text.get()


def test_the_command(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as exit:
            cli.main(["plan", *words])
        return exit.value.code, capsys.readouterr()

    status, (out, _) = run("--no-dry")
    assert status == 0
    assert "6.74 billion parameters" in out
    assert "data 64 × model 8" in out
    status, (out, _) = run("--no-dry", "--devices", "16", "--json")
    assert [row["layout"] for row in json.loads(out)["rows"]] == ["data", "fsdp", "tensor", "combined"]
    for words, message in ((["--devices", "1"], "devices must be numbers of 2 or more"),
                           (["--rows", "0"], "rows must be at least 1"), (["--tokens", "0"], "--tokens")):  # fmt: skip
        status, (_, err) = run("--no-dry", *words)
        assert (status, err.count("\n")) == (2, 1)
        assert message in err


@pytest.mark.exhaustive
def test_seven_billion_on_eight_devices():
    found = {row["layout"]: row for row in plan([8])}
    data, fsdp = (found[name]["compiled"] for name in ("data", "fsdp"))
    assert data["sent"]["all-reduce"] == pytest.approx(2 * found["data"]["sent"]["data"], rel=1e-6)
    assert fsdp["state_bytes"] == pytest.approx(data["state_bytes"] / 8, rel=1e-3)
    assert fsdp["state_bytes"] + fsdp["temporary_bytes"] < 40e9 < data["state_bytes"]
