"""What tests of shards share: lists to pack, and tars as others make them."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from s3d.data.shards.write import Packed, pack_shards, plan_packing
from s3d.data.videos import list_videos


def pack(source: str | Path, out: Path, shard_bytes: int = 18_000, seed: int = 0) -> Packed:
    """Pack all of a source into small shards."""
    listed = list_videos(source, 1)
    return pack_shards(plan_packing(out, listed, listed, shard_bytes, seed), 2)


def write_list(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Write a CSV of path, label, group, split."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "split"), *rows])
    return path


def write_tar(path: Path, files: Mapping[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    """Write a tar as another program would."""
    with tarfile.open(path, "w", format=format) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
