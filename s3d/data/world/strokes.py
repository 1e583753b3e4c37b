"""A sheet: the shapes of a clip, back to front, each with a place and a form at every moment.

Places are in shares of the frame's height, y down, (0, 0) its middle, until a camera turns them
into pixels.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

FIELDS: Final = 24
KIND, CX, CY, AX, AY, BX, BY, P0, P1, P2, TEXTURE, SCALE, OX, OY, DARK = range(15)
LIGHT, OPACITY, LX, LY, OWNER = 17, 20, 21, 22, 23
"""Where in a shape what stands: `draw.c` reads the same."""
NOTHING, PLANE, LIMB, ROUND, BOX, DIAMOND, BLOB, RING, WEDGE = range(-1, 8)
BACKGROUND, BYSTANDER, ACTOR = range(3)
"""Owners of a shape."""
MOST_SHAPES: Final = 192


class Sheet:
    """Hold the shapes of a clip while they are put down.

    Attributes:
        moments: How many: one more than there are frames.
    """

    def __init__(self, moments: int) -> None:
        self.moments = moments
        self._shapes = np.zeros((moments, MOST_SHAPES, FIELDS), np.float32)
        self._count = 0

    @property
    def shapes(self) -> Floats:
        """Return the shapes so far, (moments, N, FIELDS)."""
        return self._shapes[:, : self._count]

    def put(
        self,
        kind: int,
        centre: npt.ArrayLike,
        axes: npt.ArrayLike,
        paint: Floats,
        owner: int,
        form: tuple[npt.ArrayLike, ...] = (),
        opacity: npt.ArrayLike = 1.0,
    ) -> None:
        """Put a shape down in front of the others; beyond `MOST_SHAPES` nothing happens.

        Args:
            kind: PLANE, LIMB, ...
            centre: (..., 2), for each moment or for all.
            axes: (..., 4): what (1, 0) and (0, 1) of the shape's own coordinates become.
            paint: 10 values of `make_paint`.
            owner: BACKGROUND, BYSTANDER or ACTOR.
            form: Up to three numbers or (moments,), which `draw.c` knows the meaning of.
            opacity: 0 to 1, for each moment or for all.
        """
        if self._count == MOST_SHAPES:
            return
        shape = self._shapes[:, self._count]
        self._count += 1
        shape[:, KIND] = kind
        shape[:, CX : CY + 1] = centre
        shape[:, AX : BY + 1] = axes
        for place, value in enumerate(form):
            shape[:, P0 + place] = value
        shape[:, TEXTURE:OPACITY] = paint
        shape[:, OPACITY] = opacity
        shape[:, OWNER] = owner

    def put_still(self, kinds: npt.ArrayLike, places: Floats, axes: Floats, paints: Floats) -> None:
        """Put down things of the background that never move.

        Args:
            kinds: (n,).
            places: (n, 2).
            axes: (n, 4), as for `put`.
            paints: (n, 10).
        """
        count = min(len(places), MOST_SHAPES - self._count)
        shapes = self._shapes[:, self._count : self._count + count]
        self._count += count
        shapes[..., KIND] = np.asarray(kinds)[:count]
        shapes[..., CX : CY + 1] = places[:count]
        shapes[..., AX : BY + 1] = axes[:count]
        shapes[..., TEXTURE:OPACITY] = paints[:count]
        shapes[..., OPACITY] = 1

    def put_limbs(
        self, ends: Floats, radii: npt.ArrayLike, taper: float, paint: Floats, owner: int
    ) -> None:
        """Put down limbs from (moments, n, 2) to (moments, n, 2).

        Args:
            ends: (moments, n, 4): where each begins and ends.
            radii: (n,) at their beginning.
            taper: Radius at the end, as a share of it.
            paint: (n, 10).
            owner: As for `put`.
        """
        count = min(ends.shape[1], MOST_SHAPES - self._count)
        shapes = self._shapes[:, self._count : self._count + count]
        self._count += count
        begin, end = ends[:, :count, :2], ends[:, :count, 2:]
        half = (end - begin) / 2
        length = np.hypot(half[..., 0], half[..., 1])[..., None] + np.float32(1e-4)
        half = np.where(length < 2e-4, np.float32(1e-3), half)  # a limb seen from its end
        across = half[..., ::-1] * np.array([-1, 1], np.float32)
        across = across / np.hypot(across[..., 0], across[..., 1])[..., None]
        shapes[..., KIND] = LIMB
        shapes[..., CX : CY + 1] = (begin + end) / 2
        shapes[..., AX : AY + 1] = half
        shapes[..., BX : BY + 1] = across * np.asarray(radii, np.float32)[:count, None]
        shapes[..., P0] = taper
        shapes[..., TEXTURE:OPACITY] = paint[:count]
        shapes[..., OPACITY] = 1
        shapes[..., LX : LY + 1] = (0, 0.18)
        shapes[..., OWNER] = owner

    def shade(self, since: int, light: tuple[float, float]) -> None:
        """Light the shapes since a number from one side."""
        self._shapes[:, since : self._count, LX : LY + 1] = light


def turned(angle: npt.ArrayLike, along: npt.ArrayLike, across: npt.ArrayLike) -> Floats:
    """Return axes (..., 4) of a shape turned by an angle in radians, of these half sizes."""
    cos, sin = np.cos(angle), np.sin(angle)
    axes = np.empty((*np.broadcast_shapes(np.shape(cos), np.shape(along)), 4), np.float32)
    axes[..., 0], axes[..., 1] = along * cos, along * sin
    axes[..., 2], axes[..., 3] = across * -sin, across * cos
    return axes
