"""What a training run may start from: a model file, named weights, or weights of images."""

from __future__ import annotations

from s3d.models.model_file import ModelFile, load_model


def read_start(init: str) -> ModelFile:
    """Return the model that `--init` names.

    Args:
        init: A model file.

    Raises:
        InputError: There is no such file, or it cannot be used.
    """
    return load_model(init)
