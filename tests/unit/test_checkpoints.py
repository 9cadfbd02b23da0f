"""Checkpoints and models: the same bytes, and nothing damaged or alive is loaded."""

import os
import pickle

import pytest
import torch

from darkknowledge.checkpoints import (
    load_checkpoint,
    load_network,
    save_checkpoint,
    save_model,
    state_key,
)
from darkknowledge.errors import DataError
from darkknowledge.networks.registry import build_network

OPTIONS = {"kind": "lstm", "layers": 1, "units": 4, "projection": 2}


def save(path):
    network = build_network(OPTIONS, 3, 5, seed=1)
    save_model(path, network, OPTIONS, torch.full((5,), -1.0), {"run": "rnn-0", "seed": 1})
    return network


def test_model_round_trip(tmp_path):
    network = save(tmp_path / "model.pt")
    found, priors, meta = load_network(tmp_path / "model.pt")
    for name, value in network.state_dict().items():
        assert torch.equal(value, found.state_dict()[name])
    assert priors.tolist() == [-1] * 5
    assert meta == {"run": "rnn-0", "seed": 1, "options": OPTIONS}
    assert not found.training


def test_model_bytes_do_not_change(tmp_path):
    save(tmp_path / "one.pt")
    save(tmp_path / "two.pt")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_models_execute_nothing(tmp_path):
    torch.save({"format": 1, "options": Exploit(tmp_path / "hit")}, tmp_path / "model.pt")
    with pytest.raises(DataError, match="not a readable model"):
        load_network(tmp_path / "model.pt")
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Exploit(tmp_path / "hit"), protocol=2))
    with pytest.raises(DataError, match="not a readable model"):
        load_network(tmp_path / "model.pt")
    assert not (tmp_path / "hit").exists()


def test_unreadable_models(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_network(tmp_path / "model.pt")
    save(tmp_path / "model.pt")
    content = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="not a readable model"):
        load_network(tmp_path / "model.pt")


def test_checkpoint_round_trip(tmp_path):
    state = {"epoch": 3, "rows": [{"a": 0.1}], "weights": {"w": torch.arange(3.0)}, "none": None}
    save_checkpoint(tmp_path / "c", state)
    found = load_checkpoint(tmp_path / "c")
    assert torch.equal(found.pop("weights")["w"], state.pop("weights")["w"])
    assert found == state
    assert load_checkpoint(tmp_path / "absent") is None


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    save_checkpoint(tmp_path / "one", {"epoch": 3})
    (tmp_path / "one").rename(tmp_path / "two")
    with pytest.raises(DataError, match="two: is of another training, 'one'"):
        load_checkpoint(tmp_path / "two")


def test_damaged_checkpoints_are_refused(tmp_path):
    save_checkpoint(tmp_path / "c", {"epoch": 3})
    content = (tmp_path / "c").read_bytes()
    for place in range(0, len(content), 37):
        damaged = bytearray(content)
        damaged[place] ^= 4
        (tmp_path / "c").write_bytes(damaged)
        with pytest.raises(DataError, match="damaged"):
            load_checkpoint(tmp_path / "c")
    for size in (0, 20, 39, len(content) - 1):
        (tmp_path / "c").write_bytes(content[:size])
        with pytest.raises(DataError, match="damaged"):
            load_checkpoint(tmp_path / "c")


def test_key_names_all_that_matters():
    assert state_key({"a": 1, "b": 2}) == state_key({"b": 2, "a": 1})
    assert state_key({"a": 1}) != state_key({"a": 2})
