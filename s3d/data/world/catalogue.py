"""All that can happen: the verbs, and the classes that they and their reverses make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from s3d.data.world import company_verbs as company
from s3d.data.world import encounter_verbs as encounters
from s3d.data.world import figure_verbs as figures
from s3d.data.world import thing_verbs as things
from s3d.data.world.play import Play


@dataclass(frozen=True)
class Verb:
    """Describe what happens in a clip.

    Attributes:
        name: Of the class.
        reverse: Name of the class that it is when played backwards; "" where that is itself.
        act: Puts it on an empty stage.
    """

    name: str
    reverse: str
    act: Callable[[Play], None]


VERBS: tuple[Verb, ...] = (
    Verb("rest", "", things.rest),
    Verb("wander", "", things.wander),
    Verb("move", "", things.move),
    Verb("start", "stop", things.start),
    Verb("drop", "rise", things.drop),
    Verb("grow", "shrink", things.grow),
    Verb("stretch", "contract", things.stretch),
    Verb("wobble", "", things.wobble),
    Verb("spin_clockwise", "spin_anticlockwise", things.spin),
    Verb("roll", "", things.roll),
    Verb("appear", "vanish", things.appear),
    Verb("blink", "", things.blink),
    Verb("open", "close", things.open_up),
    Verb("flap", "", things.flap),
    Verb("shake", "", things.shake),
    Verb("swing", "", things.swing),
    Verb("bounce", "", things.bounce),
    Verb("orbit_clockwise", "orbit_anticlockwise", things.orbit),
    Verb("zigzag", "", things.zigzag),
    Verb("approach", "leave", encounters.approach),
    Verb("meet", "part", encounters.meet),
    Verb("collide", "", encounters.collide),
    Verb("merge", "split", encounters.merge),
    Verb("push", "pull", encounters.push),
    Verb("knock", "unknock", encounters.knock),
    Verb("pass_by", "", encounters.pass_by),
    Verb("follow", "follow_backwards", encounters.follow),
    Verb("circle_clockwise", "circle_anticlockwise", encounters.circle),
    Verb("throw", "", encounters.throw),
    Verb("burst", "gather", encounters.burst),
    Verb("pour", "", encounters.pour),
    Verb("stand", "", figures.stand),
    Verb("walk", "walk_backwards", figures.walk),
    Verb("run", "run_backwards", figures.run),
    Verb("turn_round", "", figures.turn_round),
    Verb("jump", "", figures.jump),
    Verb("jumping_jack", "", figures.jumping_jack),
    Verb("wave_hand", "", figures.wave_hand),
    Verb("clap", "", figures.clap),
    Verb("bow", "straighten", figures.bow),
    Verb("crouch", "stand_up", figures.crouch),
    Verb("fall", "get_up", figures.fall),
    Verb("punch", "", figures.punch),
    Verb("kick", "", figures.kick),
    Verb("hurl", "hurl_backwards", figures.hurl),
    Verb("raise_arms", "lower_arms", figures.raise_arms),
    Verb("dance", "", figures.dance),
    Verb("gesture", "", figures.gesture),
    Verb("talk", "", company.talk),
    Verb("shake_hands", "", company.shake_hands),
    Verb("hug", "let_go", company.hug),
    Verb("fight", "", company.fight),
    Verb("wrestle", "", company.wrestle),
    Verb("shove", "shove_backwards", company.shove),
    Verb("knock_down", "knock_down_backwards", company.knock_down),
    Verb("beat_down", "", company.beat_down),
    Verb("brawl", "", company.brawl),
    Verb("chase", "chase_backwards", company.chase),
    Verb("walk_together", "walk_together_backwards", company.walk_together),
    Verb("walk_past", "", company.walk_past),
    Verb("crowd", "", company.crowd),
    Verb("dance_together", "", company.dance_together),
)
THING_VERBS: tuple[Verb, ...] = tuple(
    v for v in VERBS if v.act.__module__ in (things.__name__, encounters.__name__)
)
"""Those that need no figures with limbs."""
CLASSES: tuple[str, ...] = tuple(
    name for verb in VERBS for name in (verb.name, verb.reverse) if name
)
"""What a clip can be called, in the order of the numbers."""
NUMBERS = {name: number for number, name in enumerate(CLASSES)}
