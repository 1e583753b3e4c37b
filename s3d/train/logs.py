"""Scalars in TensorBoard's format, written at once and in this thread.

`torch.utils.tensorboard` writes from a thread of its own, which dies with a traceback on a full
disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE_VERSION = "brain.Event:2"


class ScalarLog:
    """Append scalars to a new event file in a folder."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open the file.

        Args:
            folder: Made if it is missing.
            step: What an earlier, killed run logged beyond this step is not to be shown.

        Raises:
            ImportError: TensorBoard is not installed.
            OSError: The file cannot be written.
        """
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._protos: tuple[Any, Any] = event_pb2, summary_pb2
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{time.time():.6f}.{os.getpid()}"
        self._file = path.open("ab", buffering=0)
        self._records = RecordWriter(self._file)
        self._write(file_version=FILE_VERSION)
        if step:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(step=step + 1, session_log=start)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Log values at a step.

        Raises:
            OSError: The disk will not take them.
        """
        summary = self._protos[1].Summary
        pairs = [summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=summary(value=pairs))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, **fields: Any) -> None:
        event = self._protos[0].Event(wall_time=time.time(), **fields)
        self._records.write(event.SerializeToString())
