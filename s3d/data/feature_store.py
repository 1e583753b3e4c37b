"""What frozen blocks make of the clips, computed once and kept in one file.

features.f32   (row, T, H, W, C) float32; the views of each training video, then one row a
               validation video
features.json  how many videos are done, which of them failed, and the key of what was asked for
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_json

Features = npt.NDArray[np.float32]
DATA, INDEX = "features.f32", "features.json"


class FeatureStore:
    """Keep the features of clips in a file that grows, and is taken up again after a kill.

    Attributes:
        paths: Of the videos, those that train first.
        views: Clips of each training video.
        done: Videos whose features are there.
        failures: Why a video has none.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        paths: Sequence[str],
        train: int,
        views: int,
        shape: tuple[int, ...],
    ) -> None:
        """Take up what is there, if it was made under the same key, or begin anew.

        Args:
            folder: Where the files are to be.
            key: Names everything that the features depend on.
            paths: Of the videos, those that train first.
            train: How many of them train.
            views: Clips of each of those.
            shape: Of one clip's features: (T, H, W, C).

        Raises:
            InputError: The disk will not take the file.
        """
        self.paths, self.train, self.views = list(paths), train, views
        self.shape, self.key, self.folder = shape, key, folder
        self.done, self.failures = 0, dict[int, str]()
        self._kept: np.memmap[tuple[int, ...], np.dtype[np.float32]] | None = None
        make_folder(folder)
        self._take_up()

    @property
    def is_whole(self) -> bool:
        """Return whether every video is done."""
        return self.done == len(self.paths)

    def first_row(self, video: int) -> int:
        """Return where a video's rows begin; for one more than there are, where all end."""
        return min(video, self.train) * self.views + max(0, video - self.train)

    def add(self, videos: int, features: Features, failures: Mapping[int, str]) -> None:
        """Append the features of the next videos.

        Args:
            videos: How many.
            features: (rows, T, H, W, C): all rows of these videos; any values where one failed.
            failures: Why a video failed, by its number.

        Raises:
            InputError: The disk will not take them.
        """
        try:
            with (self.folder / DATA).open("ab") as file:
                file.write(np.ascontiguousarray(features, np.float32).data)
        except OSError as error:
            raise self._refused(error) from None
        self.done += videos
        self.failures.update(failures)
        self._kept = None

    def save(self) -> None:
        """Record what is done, so that a kill does not lose it.

        Raises:
            InputError: The disk will not take it.
        """
        try:
            with (self.folder / DATA).open("rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise self._refused(error) from None
        failures = {str(video): reason for video, reason in self.failures.items()}
        values = {"key": self.key, "done": self.done, "failures": failures}
        write_json(self.folder / INDEX, values)

    def read(self, video: int, view: int = 0) -> Features:
        """Return the features (T, H, W, C) of a clip; of a validation video there is one.

        Raises:
            InputError: The video failed when its features were to be computed.
        """
        if video in self.failures:
            raise InputError(self.failures[video])
        if self._kept is None:
            shape = (self.first_row(self.done), *self.shape)
            self._kept = np.memmap(self.folder / DATA, np.float32, "r", shape=shape)
        return np.asarray(self._kept[self.first_row(video) + view])

    def _take_up(self) -> None:
        data = self.folder / DATA
        try:
            found = json.loads((self.folder / INDEX).read_text())
            done, row_bytes = int(found["done"]), 4 * math.prod(self.shape)
            failures = {int(video): str(reason) for video, reason in found["failures"].items()}
            size = self.first_row(done) * row_bytes
            if (
                found["key"] == self.key
                and 0 <= done <= len(self.paths)
                and data.stat().st_size >= size
            ):
                os.truncate(data, size)  # what came after the last record
                self.done, self.failures = done, failures
                return
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        try:
            # The record goes first: a kill in between must not leave it with an empty file.
            (self.folder / INDEX).unlink(missing_ok=True)
            data.write_bytes(b"")
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> InputError:
        return InputError(
            f"{show_path(self.folder / DATA)}: cannot be written ({error.strerror}). Free some "
            "room, or compute the features anew at every step with --cache-gb 0."
        )
