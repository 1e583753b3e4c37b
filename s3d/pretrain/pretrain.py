"""Pretraining a trunk on the drawn world: resumable, to the same weights.

RUN/run.json          the settings; with others nothing is trained
RUN/state.pt          all that a killed run needs to go on
RUN/log.jsonl         a line every now and then: losses, clips a second, share of time waited
RUN/trunk.safetensors the averaged weights of the last saved state, as a model file
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.world.batches import WorldBatch, WorldPlan, stream_batches
from s3d.errors import InputError
from s3d.files import make_folder, write_bytes
from s3d.models.device import choose_device, try_kernels
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import Network, build
from s3d.pretrain.heads import Heads
from s3d.pretrain.settings import PretrainConfig
from s3d.train.optimise import learning_rate, make_optimizer, mixed_precision
from s3d.train.state import AveragedWeights, load_state, save_state

SAVE_SECONDS = 60.0
LOG_STEPS = 50
SOURCE = "s3d pretraining on drawn motion (recipes/motion_trunk.py)"
LICENCE = "Apache-2.0"
CLIP_RATE_FPS = 15.0
"""Of the clip in a trunk's file, for features; what was tried is in docs/trunk.md."""
STAND_IN_CLASSES = 1
"""Of the head that a trunk carries and nobody asks."""


@dataclass
class Run:
    """Hold what is trained, and how far it is."""

    config: PretrainConfig
    network: Network
    heads: Heads
    optimizer: torch.optim.Optimizer
    average: AveragedWeights
    step: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    device: str = "cpu"
    sums: dict[str, Tensor] = field(default_factory=dict)


def pretrain(
    config: PretrainConfig, out: Path, processes: int = 2, until: int | None = None
) -> Path:
    """Train a trunk, or go on with it; return its model file.

    Args:
        config: What is trained.
        out: Folder of the run.
        processes: That draw clips.
        until: Step to stop at; the last if None.

    Raises:
        InputError: The folder is of another run, or there is no C compiler.
    """
    _claim(config, out)
    run = start_run(config)
    _load(run, out)
    last = config.steps if until is None else min(until, config.steps)
    batches = stream_batches(
        [(step, plan_at(config, step)) for step in range(run.step, last)],
        processes,
        pins=run.device == "cuda",
    )
    saved = time.monotonic()
    for batch, waited in _timed(batches):
        begin = time.monotonic()
        _advance(run, batch)
        run.waited += waited
        run.seconds += time.monotonic() - begin + waited
        if run.step % LOG_STEPS == 0:
            _log(run, out)
        if time.monotonic() - saved > SAVE_SECONDS or run.step == last:
            _save(run, out)
            saved = time.monotonic()
    return out / "trunk.safetensors"


def plan_at(config: PretrainConfig, step: int) -> WorldPlan:
    """Return what is drawn for a step."""
    return WorldPlan(
        seed=config.seed,
        clips=config.batch,
        frames=config.frames,
        size_px=config.size_at(step),
        hardest=config.hardest_at(step),
        has_figures="figures" not in config.left_out,
    )


def start_run(config: PretrainConfig) -> Run:
    """Return a run at its first step."""
    torch.manual_seed(config.seed)
    device = choose_device("auto")
    try_kernels(device)
    network = build(config.network, num_classes=STAND_IN_CLASSES, width=config.width)
    heads = Heads(network).to(device)
    network.to(device)
    both = torch.nn.ModuleList([network, heads])
    optimizer = make_optimizer(both, config, config.lr)
    average = AveragedWeights(both, config.ema)
    return Run(config, network.train(), heads.train(), optimizer, average, device=device)


def _advance(run: Run, batch: WorldBatch) -> None:
    """Take one step."""
    config = run.config
    rate = learning_rate(config, config.lr, run.step, config.steps)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    batch = batch.to(torch.device(run.device))
    with mixed_precision(run.device):
        losses = run.heads(run.network, to_clips(batch.frames), batch, config.left_out)
    run.optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    both = torch.nn.ModuleList([run.network, run.heads])
    torch.nn.utils.clip_grad_norm_(both.parameters(), 5.0)
    run.optimizer.step()
    run.average.update(both, run.step)
    run.step += 1
    # Read when they are logged: a GPU would be waited for at each step.
    for name, value in (*losses.parts.items(), ("top1", losses.top1)):
        run.sums[name] = run.sums.get(name, 0.0) + value.detach().float() / LOG_STEPS


def to_clips(frames: Tensor) -> Tensor:
    """Return frames (B, T, H, W, 3) uint8 as clips (B, 3, T, H, W) of -1 to 1."""
    return (frames.float() / 127.5 - 1).permute(0, 4, 1, 2, 3)


def _timed(batches: Iterator[WorldBatch]) -> Iterator[tuple[WorldBatch, float]]:
    """Yield batches with the seconds that they were waited for."""
    begin = time.monotonic()
    for batch in batches:
        yield batch, time.monotonic() - begin
        begin = time.monotonic()


def _claim(config: PretrainConfig, out: Path) -> None:
    text = json.dumps(config.to_json(), indent=1) + "\n"
    note = out / "run.json"
    if note.exists() and note.read_text(encoding="utf-8") != text:
        raise InputError(f"{out}: is a run with other settings (see run.json). Choose another.")
    make_folder(out)
    write_bytes(note, text.encode())


def _save(run: Run, out: Path) -> None:
    state: dict[str, Any] = {
        "step": run.step,
        "seconds": run.seconds,
        "waited": run.waited,
        "network": run.network.state_dict(),
        "heads": run.heads.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "average": run.average.average,
        "sums": {name: float(value) for name, value in run.sums.items()},
    }
    save_state(out / "state.pt", state)
    both = torch.nn.ModuleList([run.network, run.heads])
    run.average.swap(both)
    # What a user's clip is, `s3d train` chooses from the user's videos; this is for features.
    size = run.config.late_size_px
    spec = ClipSpec(run.config.frames, CLIP_RATE_FPS, (size, size), (size, size), "squash")
    model = ModelFile(run.network.eval(), (), spec, (), SOURCE, LICENCE)
    save_model(out / "trunk.safetensors", model)
    run.network.train()
    run.average.swap(both)


def _load(run: Run, out: Path) -> None:
    state = load_state(out / "state.pt")
    if state is None:
        return
    try:
        run.network.load_state_dict(state["network"])
        run.heads.load_state_dict(state["heads"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.average.load(state["average"])
        run.step, run.seconds = int(state["step"]), float(state["seconds"])
        run.waited = float(state["waited"])
        run.sums = {name: torch.tensor(v, device=run.device) for name, v in state["sums"].items()}
        _cut_log(out, run.step)
    except (KeyError, RuntimeError, ValueError, TypeError):
        raise InputError(
            f"{out / 'state.pt'}: does not fit the run. Delete it to start anew."
        ) from None


def _cut_log(out: Path, step: int) -> None:
    """Drop the lines of steps that a killed run had logged and not saved."""
    log = out / "log.jsonl"
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        write_bytes(log, "".join(kept).encode())


def _log(run: Run, out: Path) -> None:
    line = {
        "step": run.step,
        "clips": run.step * run.config.batch,
        "hours": round(run.seconds / 3600, 4),
        "clips_per_second": round(run.step * run.config.batch / run.seconds, 1),
        "waited_share": round(run.waited / run.seconds, 4),
        **{name: round(float(value), 4) for name, value in run.sums.items()},
    }
    run.sums = {}
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)
