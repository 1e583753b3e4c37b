"""Videos brought into the index: what is missing is computed, and what fails is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from s3d.data.loader import run_ahead
from s3d.errors import InputError
from s3d.files import show_path
from s3d.infer.features import FeatureRecipe, compute_features
from s3d.infer.recognizer import Recognizer
from s3d.infer.similar.index import Index, Name, Windows

WORKERS = 2
"""One video is read while another is computed."""

Tell = Callable[[int, int], None]
"""Told how many videos are done, and how many there are to do."""


def fill_index(
    recognizer: Recognizer,
    recipe: FeatureRecipe,
    videos: Sequence[tuple[str, Name]],
    index: Index,
    tell: Tell | None = None,
) -> dict[str, str]:
    """Compute the windows of those videos that the index lacks.

    Args:
        recognizer: The model.
        recipe: Which windows, which block.
        videos: Paths and names.
        index: Takes each video as it is done, so that a kill loses no more than two.
        tell: Told after each.

    Returns:
        Why videos could not be read, by path.

    Raises:
        InputError: The index cannot be written.
    """
    left = [pair for pair in videos if index.find(pair[1]) is None]
    if not left:
        return {}
    recognizer.engine  # noqa: B018 - Chosen, and perhaps measured, once, before threads ask for it.
    failures = dict[str, str]()

    def work(pair: tuple[str, Name]) -> Windows | str:
        return _attempt(recognizer, pair[0], recipe)

    results = run_ahead(work, left, WORKERS, ahead=WORKERS)
    for number, ((path, name), found) in enumerate(zip(left, results, strict=True), 1):
        if isinstance(found, str):
            failures[path] = found
        else:
            index.add(name, found)
        if tell is not None:
            tell(number, len(left))
    return failures


def compute_windows(recognizer: Recognizer, path: str, recipe: FeatureRecipe) -> Windows:
    """Return the windows of a whole video.

    Raises:
        InputError: The video cannot be read.
    """
    found = compute_features(recognizer.engine, path, recipe)
    return Windows(found.start_seconds, found.end_seconds, found.features)


def _attempt(recognizer: Recognizer, path: str, recipe: FeatureRecipe) -> Windows | str:
    """Return the windows of a video, or why there are none: one must not end the work on many."""
    try:
        return compute_windows(recognizer, path, recipe)
    except InputError as error:
        return str(error)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return f"{show_path(path)}: a fault of s3d ({what}). Report it with the video."
