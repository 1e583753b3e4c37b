"""Features laid out in a plane by tSNE, for the eye alone."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError

PERPLEXITY = 30.0
FEWEST = 6
"""Videos below which there is nothing to lay out."""


def check_can_embed() -> None:
    """Check that scikit-learn is installed.

    Raises:
        InputError: It is not.
    """
    if find_spec("sklearn") is None:
        raise InputError(
            "tSNE needs scikit-learn, which is not installed. Use `pip install 's3d[analyze]'`."
        )


def embed_features(features: npt.NDArray[np.float32], seed: int = 0) -> npt.NDArray[np.float32]:
    """Return a place in the plane for each row: near where features are, by their cosine.

    Args:
        features: (N, C).
        seed: The same seed gives the same places.

    Returns:
        (N, 2), from -1 to 1.

    Raises:
        InputError: scikit-learn is not installed, or there are too few rows.

    Source: van der Maaten and Hinton (2008); paper section 4.2, the figure of features.
    """
    check_can_embed()
    if len(features) < FEWEST:
        raise InputError(f"{len(features)} videos can be laid out; at least {FEWEST} are needed.")
    if not np.ptp(features, axis=0).any():
        return np.zeros((len(features), 2), np.float32)  # A dead block: all are in one place.
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    embedding = TSNE(
        metric="cosine", init="pca", perplexity=perplexity, random_state=seed, n_jobs=1
    )
    places = embedding.fit_transform(features.astype(np.float64))
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    reach = float(np.abs(places).max())
    return np.asarray(places / (reach or 1.0), np.float32)
