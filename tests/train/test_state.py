"""The state of a run: averaged weights, and a file that can be trusted or is refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from s3d.errors import InputError
from s3d.train.state import AveragedWeights, load_state, save_state


def make_network(value: float) -> nn.Module:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(value)
    return network


def test_the_average_is_a_moving_one_that_forgets_its_start() -> None:
    average = AveragedWeights(make_network(0.0), decay=0.5)
    wanted = 0.0
    for step, value in enumerate((1.0, -2.0, 5.0, 4.0)):
        average.update(make_network(value), step)
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * value
    for tensor in average.average:
        torch.testing.assert_close(tensor, torch.full_like(tensor, wanted))
    assert len(average.average) == 6  # weights, biases, means and variances; no counters


def test_swapping_twice_changes_nothing() -> None:
    network = make_network(1.0)
    average = AveragedWeights(make_network(3.0), 0.9)
    average.swap(network)
    assert {float(p.detach().mean()) for p in network.parameters()} == {3.0}
    average.swap(network)
    assert {float(p.detach().mean()) for p in network.parameters()} == {1.0}
    assert {float(t.mean()) for t in average.average} == {3.0}


def test_an_average_of_another_network_does_not_fit() -> None:
    average = AveragedWeights(make_network(0.0), 0.9)
    kept = AveragedWeights(make_network(7.0), 0.9).average
    average.load(kept)
    assert all(float(t.mean()) == 7 for t in average.average)
    with pytest.raises(ValueError, match="zip"):
        average.load(kept[:-1])
    with pytest.raises(ValueError, match="an average of shape"):
        average.load([torch.zeros(9), *kept[1:]])


def test_a_state_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state.ckpt"
    assert load_state(path) is None
    save_state(path, {"step": 3, "average": [torch.ones(2)], "best": {"top1": 0.5}})
    state = load_state(path)
    assert state is not None
    assert state["step"] == 3
    assert torch.equal(state["average"][0], torch.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["state.ckpt"]


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_nothing_in_a_state_is_run(tmp_path: Path, kind: str) -> None:
    path, mark = tmp_path / "state.ckpt", tmp_path / "mark"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"step": Evil(mark)}))
    else:
        torch.save({"step": Evil(mark)}, path)
    with pytest.raises(InputError, match="the run's state is damaged"):
        load_state(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04" + bytes(100)])
def test_a_damaged_state_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"state\.ckpt: the run's state is damaged .* Delete it"):
        load_state(path)


def test_a_cut_or_flipped_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.ckpt"
    save_state(path, {"step": 3, "average": [torch.rand(2000)]})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        load_state(path)


def test_another_file_of_torch_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "state.ckpt"
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(InputError, match="is not the state of a run"):
        load_state(path)
