"""Parameters in and out of files and of torch's state_dicts."""

import json
import pickle
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent

NET = nn.Sequential(nn.Linear(3, 2), nn.PReLU())
PARAMS, _ = NET.init(jax.random.key(0))
BUFFERS = {"1": {"count": jnp.int32(3)}}


def torch_net():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.PReLU())


def bits(flat):
    return {name: (str(x.dtype), x.shape, x.tobytes()) for name, x in ((n, np.asarray(x)) for n, x in flat.items())}


def test_torchs_state_dict_goes_in():
    module = torch_net()
    params, buffers = tree.load_state_dict(PARAMS, {}, module.state_dict())
    assert bits(tree.flatten(params)) == bits({name: x.numpy() for name, x in module.state_dict().items()})
    assert buffers == {}
    x = np.ones((1, 3), "float32")
    assert_equivalent(module(torch.from_numpy(x)), NET.apply(params, {}, x)[0], rtol=1e-6)


def test_nested_dicts_go_in_too_and_keep_the_expected_dtype():
    wide = jax.tree.map(lambda x: np.asarray(x, "float64") + 1, PARAMS)
    params, buffers = tree.load_state_dict(PARAMS, BUFFERS, tree.merge(wide, {"1": {"count": np.int64(7)}}))
    assert {str(x.dtype) for x in jax.tree.leaves(params)} == {"float32"}
    assert int(buffers["1"]["count"]) == 7
    assert buffers["1"]["count"].dtype == jnp.int32


FAULTY = {"0.weight": np.ones((2, 3)), "0.bias": np.ones(3), "2.weight": np.ones(1), "2.bias": np.ones(1)}


def test_every_fault_is_listed_in_one_error():
    with pytest.raises(ValueError, match="does not fit") as caught:
        tree.load_state_dict(PARAMS, BUFFERS, FAULTY)
    assert str(caught.value).splitlines()[1:] == [
        "  missing: 1.weight",
        "  missing: 1.count",
        "  unexpected: 2.weight",
        "  unexpected: 2.bias",
        "  wrong shape: 0.bias is (3,), expected (2,)",
    ]


def test_without_strictness_only_shapes_are_refused():
    with pytest.raises(ValueError, match=r"fit:\n  wrong shape: 0\.bias is \(3,\), expected \(2,\)$"):
        tree.load_state_dict(PARAMS, {}, FAULTY, strict=False)
    params, _ = tree.load_state_dict(PARAMS, {}, {"0.weight": np.ones((2, 3)), "x": np.ones(1)}, strict=False)
    np.testing.assert_array_equal(params["0"]["weight"], 1)
    np.testing.assert_array_equal(params["0"]["bias"], PARAMS["0"]["bias"])


EVERY = {
    "z": {"bfloat16": jnp.arange(3, dtype="bfloat16"), "scalar": np.float64(0.1)},
    "a": {"empty": np.zeros((0, 2), "int64"), "bool": np.array([True, False]), "half": np.ones((2, 1), "float16")},
    "m": {"nan": np.array([np.nan, -0.0, np.inf], "float32"), "byte": np.arange(4, dtype="uint8")},
    "t": {"transposed": np.arange(6.0).reshape(2, 3).T},
}


def test_safetensors_round_trip_is_bit_identical_and_keeps_the_order(tmp_path):
    path = tmp_path / "weights.safetensors"
    tree.save(path, EVERY)
    found = tree.load(path)
    assert tree.names(found) == tree.names(EVERY)
    assert bits(tree.flatten(found)) == bits(tree.flatten(EVERY))
    tree.save(path, tree.flatten(found))
    assert bits(tree.flatten(tree.load(path))) == bits(tree.flatten(EVERY))
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


def test_torch_reads_what_we_write_and_we_read_what_torch_writes(tmp_path):
    state = {**torch_net().state_dict(), "half": torch.ones(2, dtype=torch.bfloat16), "n": torch.tensor(5)}
    save_file(state, tmp_path / "theirs.safetensors")
    found = tree.load(tmp_path / "theirs.safetensors")
    assert found["half"].dtype == ml_dtypes.bfloat16
    tree.save(tmp_path / "ours.safetensors", found)
    back = load_file(tmp_path / "ours.safetensors")
    assert all(torch.equal(back[name], value) and back[name].dtype == value.dtype for name, value in state.items())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_torchs_own_files(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    state = {**torch_net().state_dict(), "half": torch.ones(2, dtype=torch.bfloat16)}
    torch.save(state, path)
    found = tree.load(path)
    assert tree.names(found) == tuple(state)
    assert bits(tree.flatten(found)) == bits({name: tree.as_numpy(value) for name, value in state.items()})


class Hostile:
    def __reduce__(self):
        return (sys.exit, (3,))


def test_nothing_that_a_file_says_is_run(tmp_path):
    path = tmp_path / "hostile.pt"
    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match="can't read it as weights alone"):
        tree.load(path)
    torch.save({"w": Hostile()}, path)
    with pytest.raises(ValueError, match="can't read it as weights alone"):
        tree.load(path)


def test_files_that_are_something_else(tmp_path):
    torch.save({"step": 3, "w": torch.ones(1)}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="a state_dict is expected, tensors by name; got a dict of Tensor, int"):
        tree.load(tmp_path / "run.pt")
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="got list"):
        tree.load(tmp_path / "list.pt")
    (tmp_path / "torn.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(ValueError, match="not a safetensors file"):
        tree.load(tmp_path / "torn.safetensors")
    with pytest.raises(ValueError, match="the suffix must be"):
        tree.load(tmp_path / "weights.npz")
    with pytest.raises(ValueError, match=r"only \.safetensors files are written"):
        tree.save(tmp_path / "weights.pt", PARAMS)
    with pytest.raises(FileNotFoundError):
        tree.load(tmp_path / "nowhere.safetensors")
    with pytest.raises(FileNotFoundError):
        tree.load(tmp_path / "nowhere.pt")


def test_dtypes_that_numpy_lacks_are_told(tmp_path):
    header = json.dumps({"w": {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]}}).encode()
    (tmp_path / "odd.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(ValueError, match=r"numpy has no F8_E8M0|not a safetensors file"):
        tree.load(tmp_path / "odd.safetensors")


def test_without_torch_its_files_are_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match="torch is needed to read it: pip install"):
        tree.load(tmp_path / "weights.pt")
