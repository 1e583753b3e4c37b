"""Do converted weights answer what the published code answered? One case per setting of each code.

    scripts/benchmark published ORACLE [--only PREFIX] [--record FILE]

ORACLE holds a folder per case, made outside this repository by running each publisher's own code
once, in eval mode, on random weights and a random clip: Google's slim nets, DeepMind's i3d.py (on
Sonnet 1.36) and the TF Model Garden on TensorFlow 2.15, the PyTorch ones on torch 2.13. In a case:

    case.json   source, settings, clip, weights (file name), run (what was run, with versions)
    weights     in the publisher's own file format, with the publisher's names
    golden.npz  clip (B, C, T, H, W), logits (averaged as the publisher does), and the output of
                some of its blocks under the publisher's name for them

Each case's weights are converted twice, with the source named and guessed, and our network is given
the clip. What a file does not show (IBM's pooling in time) is told as a user would, by style. The
record, benchmarks/results/published.json, says for each case how far logits and blocks differ, as a
share of the published answer's norm; a case that could not be converted keeps the reason.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3d.errors import InputError
from s3d.explore.machine import describe_machine
from s3d.models.network import BLOCKS, Network, build
from s3d.models.published.convert import Conversion, convert, summarise_unused

RECORD = Path(__file__).parent / "results" / "published.json"
AGREES = 1e-4
"""Share of the norm by which float32 sums in another order may differ; faults are far above."""
SOURCES = {
    "slim_s3dg": "slim",
    "slim_i3d": "slim",
    "deepmind_i3d": "deepmind",
    "garden_s3d": "tf-garden",
    "torchvision_s3d": "torchvision",
    "kylemin_s3d": "kylemin",
    "piergiaj_i3d": "piergiaj",
    "mil_nce_s3dg": "mil-nce",
    "ibm_s3d": "ibm",
    "ibm_i3d": "ibm",
}
"""Our name of each case's source, but for image networks: those are inflated."""
IMAGES = "torchvision_googlenet"
IMAGE_CHANNELS = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
"""ImageNet's mean and deviation by channel, which torchvision's `transform_input` undoes."""
BLOCK = re.compile(r"(?:Conv[23]d|MaxPool(?:3d)?|Mixed|maxpool|mixed)_([1-5][a-f])")
GOOGLENET = dict(zip("abcde", "bcdef", strict=True))
"""GoogLeNet counts its blocks from a, Inception-v1 from b."""


@dataclass(frozen=True)
class Case:
    """Hold what published code answered.

    Attributes:
        name: Its folder's name.
        about: case.json.
        weights: The file of weights.
        clip: What the network was given.
        logits: What it answered.
        blocks: The output of some blocks, by our names.
    """

    name: str
    about: dict[str, Any]
    weights: Path
    clip: Tensor
    logits: Tensor
    blocks: dict[str, Tensor]


def read_case(folder: Path) -> Case:
    """Read a case's folder."""
    about = json.loads((folder / "case.json").read_text())
    with np.load(folder / "golden.npz") as golden:
        arrays = {name: _tensor(golden[name]) for name in golden.files}
    named = ((block_of(name, about), value) for name, value in arrays.items())
    blocks = {block: value for block, value in named if block}
    weights = folder / about["weights"]
    return Case(folder.name, about, weights, arrays["clip"], arrays["logits"], blocks)


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()


def block_of(name: str, about: dict[str, Any]) -> str | None:
    """Return our name of the block that a publisher calls so; None where there is none."""
    source = about["source"]
    if source in ("torchvision_s3d", "kylemin_s3d"):
        number = name.removeprefix("features.").removeprefix("base.")
        return BLOCKS[int(number)] if number.isdecimal() else None
    if source.startswith("ibm"):
        if found := re.fullmatch(r"inception([345])([a-e])", name):
            return f"mixed{found[1]}{GOOGLENET[found[2]]}"
        return {"conv1": "conv1a", "conv2": "conv2b", "conv3": "conv2c"}.get(name)
    if source == "mil_nce_s3dg":
        # Its conv_2c is what comes before the gate; its conv1 may have a border that is cut off.
        if name in ("conv_2b", "gating"):
            return {"conv_2b": "conv2b", "gating": "conv2c"}[name]
        if name.startswith("conv") or name.endswith("mean"):
            return None
    found = BLOCK.match(name)
    return next((block for block in BLOCKS if found and block.endswith(found[1])), None)


def style_of(about: dict[str, Any]) -> dict[str, Any]:
    """Return what a user has to tell of a case because its file does not show it.

    Raises:
        InputError: It is nothing that our networks can do.
    """
    settings, arch = about["settings"], about.get("arch") or ""
    if settings.get("pooling_method") == "avg" and "-ts-avg" not in arch:
        raise InputError("average pools, which its file does not show; there is no style for them.")
    told = settings.get("without_t_stride") and not arch
    return {"time_strides": "none"} if told else {}


def share(found: Tensor, wanted: Tensor) -> float:
    """Return how far two answers differ, as a share of the second's norm; 1 for other shapes."""
    if found.shape != wanted.shape:
        return 1.0
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def outputs(network: Network, clip: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield each block's output, then the logits."""
    x = clip
    for block in BLOCKS:
        x = network.get_submodule(block)(x)
        yield block, x
    yield "logits", network.head(x)


def compare(network: Network, case: Case) -> dict[str, Any]:
    """Return how far a network's answer is from the published one."""
    wanted = case.blocks | {"logits": case.logits}
    with torch.inference_mode():
        found = {k: share(v, wanted[k]) for k, v in outputs(network, case.clip) if k in wanted}
        whole = share(network(case.clip), case.logits)
    logits = max(found.pop("logits"), whole)
    first = next((k for k, v in found.items() if v > AGREES), None)
    return {
        "logits_differ_by": round_share(logits),
        "blocks_differ_by": round_share(max(found.values(), default=0.0)),
        "blocks_compared": len(found),
        **({"first_block_that_differs": first} if first else {}),
    }


def round_share(value: float) -> float:
    """Return a share with two digits."""
    return float(f"{value:.1e}")


def describe(conversion: Conversion) -> dict[str, Any]:
    """Return what a conversion found the weights to be."""
    network = conversion.model.network
    return {
        "word": network.word,
        "width": network.width,
        "used": conversion.used,
        "unused": summarise_unused(conversion.unused),
    }


def measure(case: Case) -> dict[str, Any]:
    """Convert a case's weights, with the source named and guessed, and compare the answers."""
    source = SOURCES[case.about["source"]]
    record = {
        "case": case.name,
        "source": source,
        "settings": case.about["settings"],
        "clip": " x ".join(map(str, case.clip.shape)),
        "run": case.about["run"],
    }
    try:
        style = style_of(case.about)
        named = convert(case.weights, source, style=style)
        guessed = convert(case.weights, style=style)
        answer = compare(named.model.network, case)
    except InputError as error:
        reason = str(error).replace(f"{case.weights.parent}/", "")
        return {**record, "agrees": False, "refused": reason}
    same = guessed.source == source and equal(named.model.network, guessed.model.network)
    close = max(answer["logits_differ_by"], answer["blocks_differ_by"]) <= AGREES
    return {
        **record,
        "agrees": same and close,
        "guessed": guessed.source,
        **describe(named),
        **answer,
    }


def measure_images(case: Case) -> dict[str, Any]:
    """Inflate an image network into an I2D, and compare its answer to clips of one frame."""
    clip = case.clip[:, :, None]
    if case.about["settings"].get("transform_input"):
        channels = zip(torch.split(clip, 1, 1), IMAGE_CHANNELS, strict=True)
        clip = torch.cat([(x * std + mean - 0.5) / 0.5 for x, (mean, std) in channels], 1)
    network = build("i2d", num_classes=case.logits.shape[-1], inflate=case.weights).eval()
    with torch.inference_mode():
        differ = round_share(share(network(clip), case.logits))
    return {
        "case": case.name,
        "source": "googlenet, inflated",
        "settings": case.about["settings"],
        "clip": " x ".join(map(str, case.clip.shape)),
        "run": case.about["run"],
        "agrees": differ <= AGREES,
        "guessed": "googlenet",
        "word": network.word,
        "logits_differ_by": differ,
        "blocks_differ_by": 0.0,
        "blocks_compared": 0,
    }


def equal(first: Network, second: Network) -> bool:
    """Return whether two networks are the same, to the last bit of their weights."""
    one, two = first.state_dict(), second.state_dict()
    alike = (first.word, first.style, first.width) == (second.word, second.style, second.width)
    return alike and one.keys() == two.keys() and all(one[k].equal(two[k]) for k in one)


def show(result: dict[str, Any]) -> str:
    """Return a case's line."""
    mark = "agrees " if result["agrees"] else "DIFFERS"
    if "refused" in result:
        return f"refused  {result['case']:<48} {result['refused']}"
    figures = f"{result['logits_differ_by']:.1e}  {result['blocks_differ_by']:.1e}"
    where = result.get("first_block_that_differs", "")
    return f"{mark}  {result['case']:<48} {figures}  guessed {result['guessed']} {where}"


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a record says of all its cases."""
    ran = [r for r in results if "refused" not in r]
    return {
        "date": date.today().isoformat(),
        "what": "our network on converted weights against the published code's own answer",
        "cases": len(results),
        "agree": sum(r["agrees"] for r in results),
        "refused": [r["case"] for r in results if "refused" in r],
        "differ": [r["case"] for r in ran if not r["agrees"]],
        "agrees_means": f"logits and blocks within {AGREES} of the norm; the source guessed right",
        "largest_logits_differ_by": max((r["logits_differ_by"] for r in ran), default=None),
        "numpy": version("numpy"),
        **describe_machine(),
        "results": results,
    }


def main() -> None:
    """Compare every case, print a line each, and keep a record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("oracle", type=Path, help="folder of cases")
    parser.add_argument("--only", default="", help="take the cases whose names begin so")
    parser.add_argument("--record", type=Path, help=f"where to write; {RECORD} for all cases")
    args = parser.parse_args()

    results = []
    for path in sorted(args.oracle.glob(f"{args.only}*/golden.npz")):
        case = read_case(path.parent)
        is_image = case.about["source"] == IMAGES
        if is_image or case.about["source"] in SOURCES:
            results.append(measure_images(case) if is_image else measure(case))
            print(show(results[-1]), flush=True)
    if not results:
        raise SystemExit(f"{args.oracle} holds no cases whose names begin with {args.only!r}.")
    record = args.record or (None if args.only else RECORD)
    summary = summarise(results)
    if record:
        record.write_text(json.dumps(summary, indent=1) + "\n")
    print(f"{summary['agree']} of {summary['cases']} agree; refused: {len(summary['refused'])}")


if __name__ == "__main__":
    main()
