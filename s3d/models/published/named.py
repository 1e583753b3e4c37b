"""Load published weights by name: fetch, verify, convert."""

from __future__ import annotations

from s3d.errors import InputError
from s3d.models.download import fetch_files
from s3d.models.model_file import ModelFile
from s3d.models.published.convert import convert
from s3d.models.published.weights import BACKBONE, IMAGES, find_weights, refuse_backbone


def load_named(name: str) -> ModelFile:
    """Return published weights as a model.

    Their files are downloaded where they are not there yet; see `s3d.models.download` for where
    they lie and how to do without a network.

    Args:
        name: One of `s3d.models.published.weights.WEIGHTS`.

    Raises:
        InputError: There are none of this name, they cannot be had, or they are of images.
    """
    weights = find_weights(name)
    if weights.source == BACKBONE:
        raise refuse_backbone(name)
    if weights.source == IMAGES:
        raise InputError(
            f"{name} is of images and scores no video. Start a network from it with "
            f"`s3d train --init {name}` or s3d.build(inflate={name!r})."
        )
    return convert(fetch_files(weights.files)[0], weights.source).model
