"""Colours of boxes: told apart by all eyes, the same for a tube from its first frame to its last.

Source: the palette of M. Okabe and K. Ito, "Color Universal Design", 2008, without its black, in an
order in which three that follow each other differ for those who see no red or no green, too.
"""

from __future__ import annotations

Colour = tuple[int, int, int]

CYCLE: tuple[Colour, ...] = (
    (86, 180, 233),  # sky blue
    (204, 121, 167),  # purple
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
    (0, 158, 115),  # green
    (230, 159, 0),  # orange
)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


def colour_of(number: int) -> Colour:
    """Return the colour of a tube, RGB in 0..255."""
    return CYCLE[number % len(CYCLE)]


def ink_on(colour: Colour) -> Colour:
    """Return black or white, whichever stands out more from a colour."""
    # Contrast is (lighter + 0.05) / (darker + 0.05): both inks give the same at this luminance.
    return BLACK if luminance(colour) > (1.05 * 0.05) ** 0.5 - 0.05 else WHITE


def luminance(colour: Colour) -> float:
    """Return how light a colour is, from 0 to 1.

    Source: WCAG 2.1, relative luminance.
    """
    linear = [
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
        for level in (value / 255 for value in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
