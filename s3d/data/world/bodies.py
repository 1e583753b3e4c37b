"""Articulated figures: from angles to limbs seen by a camera above the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s3d.data.world.play import (
    ARM_LEFT,
    ARM_RIGHT,
    HEADING,
    JUMP,
    LEAN,
    LEG_LEFT,
    LEG_RIGHT,
    PITCH,
    SIDE,
    Figure,
    X,
    Z,
)
from s3d.data.world.strokes import ROUND, Floats, Sheet
from s3d.data.world.textures import FLAT, draw_colour, make_paint, stand_out

LIMBS = (ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT)
LEFT = np.array([-1, 1, -1, 1], np.float32)
"""Which way a limb's outward angle turns."""


@dataclass(frozen=True)
class Build:
    """Describe a body and its clothes.

    Attributes:
        lengths: (5,) of upper arm, lower arm, upper leg, lower leg, spine, in body heights.
        widths: (5,) half widths of arm, leg, chest, hips, head.
        paints: (6, 10) of sleeves, hands and lower arms, trousers, lower legs, chest, head.
    """

    lengths: Floats
    widths: Floats
    paints: Floats


def draw_build(rng: np.random.Generator, ground: float, contrast: float) -> Build:
    """Return some body in some clothes, which stand out from a ground by at least `contrast`."""
    lengths = np.array([0.17, 0.16, 0.24, 0.25, 0.30]) * rng.uniform(0.88, 1.12, 5)
    stout = rng.uniform(0.8, 1.4)
    widths = np.array([0.038, 0.052, 0.1, 0.085, 0.075]) * rng.uniform(0.85, 1.15, 5)
    widths *= (stout, stout, stout, stout, 1.0)
    skin = draw_colour(rng, rng.uniform(0.2, 0.8), 0.15)
    coat, legs = (draw_colour(rng, stand_out(rng, ground, contrast), 0.4) for _ in range(2))
    sleeve = coat if rng.random() < 0.8 else skin
    shin = legs if rng.random() < 0.8 else skin
    hair = draw_colour(rng, rng.uniform(0.0, 0.7), 0.15)
    is_plain = rng.random() < 0.6

    def cloth(colour: Floats) -> Floats:
        other = colour if is_plain else draw_colour(rng, rng.uniform(0, 1))
        return make_paint(rng, colour, other, 6.0, FLAT if is_plain else None)

    paints = [cloth(coat), cloth(sleeve), cloth(legs), cloth(shin), cloth(coat)]
    paints.append(make_paint(rng, hair, skin, 10.0, 6))
    if sleeve is skin:
        paints[1] = make_paint(rng, skin, skin, 6.0, FLAT)
    return Build(lengths.astype(np.float32), widths.astype(np.float32), np.stack(paints))


def place_joints(pose: Floats, build: Build) -> Floats:
    """Return where a body's joints are, (moments, 14, 3): right, up and towards one, body heights.

    Order: hips, neck, head; then of each arm shoulder, elbow, hand, of each leg ... knee, foot
    behind its hip; the lowest point stands on the ground.
    """
    cos, sin = np.cos(pose[:, HEADING]), np.sin(pose[:, HEADING])
    zero = np.zeros_like(cos)
    ahead, right = np.stack([cos, zero, sin], 1), np.stack([-sin, zero, cos], 1)
    up = np.array([0, 1, 0], np.float32)
    tilt_cos, tilt_sin = np.cos(pose[:, PITCH])[:, None], np.sin(pose[:, PITCH])[:, None]
    up, ahead = tilt_cos * up + tilt_sin * ahead, tilt_cos * ahead - tilt_sin * up
    lean, side = pose[:, LEAN], pose[:, SIDE]
    spine = (
        (np.cos(lean) * np.cos(side))[:, None] * up
        + np.sin(lean)[:, None] * ahead
        + np.sin(side)[:, None] * right
    )
    upper_arm, lower_arm, upper_leg, lower_leg, back = build.lengths
    neck = spine * back
    head = neck + spine * np.float32(0.1)
    first = np.array(LIMBS)
    swing, out, bend = pose[:, first], pose[:, first + 1] * LEFT, pose[:, first + 2]
    bent = swing + bend * np.array([1, 1, -1, -1], np.float32)

    def direction(angle: Floats) -> Floats:
        flat = np.sin(angle)[..., None] * ahead[:, None] - np.cos(angle)[..., None] * up[:, None]
        pointed: Floats = np.cos(out)[..., None] * flat + np.sin(out)[..., None] * right[:, None]
        return pointed

    chest, hip = build.widths[2] * 1.15, build.widths[3] * 0.6
    roots = np.stack([neck - right * chest, neck + right * chest, right * -hip, right * hip], 1)
    roots[:, :2] -= spine[:, None] * np.float32(0.03)
    middles = (
        roots
        + direction(swing)
        * np.array([upper_arm, upper_arm, upper_leg, upper_leg], np.float32)[:, None]
    )
    ends = (
        middles
        + direction(bent)
        * np.array([lower_arm, lower_arm, lower_leg, lower_leg], np.float32)[:, None]
    )
    limbs = np.stack([roots, middles, ends], 2).reshape(len(pose), 12, 3)
    joints = np.concatenate([neck[:, None], head[:, None], limbs], 1)
    lowest = np.minimum(joints[..., 1].min(1), -build.widths[3])
    joints = np.concatenate([np.zeros_like(joints[:, :1]), joints], 1)
    joints[..., 0] += pose[:, None, X]
    joints[..., 1] += (pose[:, JUMP] - lowest + build.widths[1])[:, None]
    joints[..., 2] += pose[:, None, Z]
    return joints


def look_at(joints: Floats, scale: float, pitch: float) -> Floats:
    """Return joints (..., 3) as places in the frame (..., 2), from above by `pitch` radians."""
    sin, cos = np.float32(np.sin(pitch)), np.float32(np.cos(pitch))
    x = joints[..., 0]
    y = joints[..., 2] * sin - joints[..., 1] * cos
    return np.stack([x, y], -1) * np.float32(scale)


def put_figure(
    sheet: Sheet, figure: Figure, build: Build, scale: float, pitch: float, shadow: float
) -> None:
    """Draw a figure: its shadow, the limbs behind, the body, the limbs in front."""
    joints = place_joints(figure.pose, build)
    flat = look_at(joints, scale, pitch)
    owner = figure.owner
    if shadow > 0:
        foot = joints[:, :1] * np.array([1, 0, 1], np.float32)
        dark = np.concatenate([[FLAT, 1, 0, 0], np.zeros(6)]).astype(np.float32)
        wide = scale * 0.2
        axes = (wide, 0, 0, wide * max(0.25, np.sin(pitch)))
        sheet.put(ROUND, look_at(foot, scale, pitch)[:, 0], axes, dark, 0, opacity=shadow)
    arm, leg, chest, hips, head = build.widths * np.float32(scale)
    # Whose right hand is nearer is asked once: limbs do not change places within a clip.
    is_right_near = float(np.mean(joints[:, 6, 2] - joints[:, 3, 2])) > 0
    far, near = (0, 1) if is_right_near else (1, 0)
    paints = build.paints

    def limb(which: int, radius: float, first: int) -> None:
        a, b, c = (flat[:, 3 + 3 * which + k] for k in range(3))
        ends = np.stack([np.concatenate([a, b], 1), np.concatenate([b, c], 1)], 1)
        radii = np.array([radius, radius * 0.85], np.float32)
        sheet.put_limbs(ends, radii, 0.75, paints[first : first + 2], owner)

    limb(far, arm, 0)
    limb(2 + far, leg, 2)
    limb(2 + near, leg, 2)
    trunk = np.concatenate([flat[:, 0], flat[:, 1] * 0.85 + flat[:, 0] * 0.15], 1)[:, None]
    sheet.put_limbs(trunk, np.array([hips]), float(chest / hips), paints[4:5], owner)
    sheet.put(ROUND, flat[:, 2], (head * 0.9, 0, 0, head * 1.1), paints[5], owner)
    limb(near, arm, 0)
