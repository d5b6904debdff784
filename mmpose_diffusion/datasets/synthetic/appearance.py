"""Colours and patterns: skin, hair and clothes that tell front from back."""

import colorsys
from dataclasses import dataclass

import numpy as np

from .anatomy import Outfit, person_surfaces, random_outfit
from .mesh import SkinnedMesh, Surface, join
from .skeleton import Body

SKIN_TONES = ((170, 200, 238), (140, 176, 224), (112, 152, 206), (84, 120, 176), (58, 88, 140), (40, 60, 98))  # BGR
HAIR_TONES = ((28, 28, 32), (30, 44, 66), (38, 66, 110), (82, 140, 188), (150, 150, 150), (34, 52, 128))
SHIRT_PATTERNS = ('plain', 'hoops', 'stripes', 'chest', 'jacket', 'halves')


@dataclass(frozen=True)
class Look:
    """Outfit and colours (BGR, 0..255) of one person."""

    outfit: Outfit
    skin: np.ndarray
    hair: np.ndarray
    shirt: np.ndarray
    second: np.ndarray
    pattern: str
    trousers: np.ndarray
    shoes: np.ndarray
    socks: np.ndarray


def random_look(generator: np.random.Generator) -> Look:
    """Clothes, skin and hair of one person; shirt and trousers differ clearly."""
    hue = generator.uniform()
    skin = np.array(SKIN_TONES[generator.integers(len(SKIN_TONES))]) * generator.uniform(0.92, 1.06)
    return Look(
        outfit=random_outfit(generator),
        skin=skin,
        hair=np.array(HAIR_TONES[generator.integers(len(HAIR_TONES))], dtype=float),
        shirt=_colour(hue, generator.uniform(0.25, 0.95), generator.uniform(0.45, 0.98)),
        second=_colour(hue + generator.uniform(0.3, 0.7), generator.uniform(0.0, 0.9), generator.uniform(0.3, 1.0)),
        pattern=str(generator.choice(SHIRT_PATTERNS)),
        trousers=_colour(hue + generator.uniform(0.2, 0.8), generator.uniform(0.05, 0.7), generator.uniform(0.2, 0.7)),
        shoes=_colour(generator.uniform(), generator.uniform(0.0, 0.8), generator.uniform(0.15, 1.0)),
        socks=_colour(generator.uniform(), generator.uniform(0.0, 0.3), generator.uniform(0.5, 1.0)),
    )


def build_person(body: Body, look: Look) -> SkinnedMesh:
    """The coloured mesh of a person."""
    surfaces = person_surfaces(body, look.outfit)
    return join(surfaces, [surface_colours(surface, look) for surface in surfaces], body.bone_origins())


def surface_colours(surface: Surface, look: Look) -> np.ndarray:
    """Albedo [F, 3] of the faces of one surface."""
    plain = {
        'neck': look.skin, 'ear': look.skin * 0.95, 'hair': look.hair, 'brim': look.second, 'skirt': look.trousers,
        'eyes': np.array([240.0, 240.0, 240.0]), 'pupils': np.array([30.0, 25.0, 20.0]), 'brows': look.hair * 0.8,
        'mouth': look.skin * np.array([0.5, 0.42, 0.72]), 'nose_sides': look.skin * 1.06,
        'nose_bottom': look.skin * 0.7,
    }  # fmt: skip
    painters = {'torso': _paint_torso, 'head': _paint_head}
    limb_painters = {'arm': _paint_arm, 'leg': _paint_leg, 'foot': _paint_foot, 'hand': _paint_hand}
    if surface.name in plain:
        return np.tile(plain[surface.name], (len(surface.faces), 1))
    painter = painters.get(surface.name) or limb_painters[surface.name.split('_')[1]]
    return painter(surface, look)


def _paint_torso(surface: Surface, look: Look) -> np.ndarray:
    height, forward = surface.height, np.cos(surface.angle)
    second = {
        'plain': forward > 2,
        'hoops': (height * 11).astype(int) % 2 == 1,
        'stripes': (surface.angle * 22 / (2 * np.pi)).astype(int) % 3 == 0,
        'chest': (forward > 0.72) & (height > 0.56) & (height < 0.8),
        'jacket': forward > 0.86,
        'halves': height > 0.62,
    }[look.pattern]
    colours = _two_tone(second, look.second, look.shirt)
    # The back is a little darker and carries a light panel, so that front and back can be told apart.
    back = forward < -0.2
    colours[back] *= 0.86
    panel = (forward < -0.8) & (height > 0.66) & (height < 0.82)
    colours[panel] = 0.5 * colours[panel] + 110
    collar = (height > 0.93) | ((forward > 0.8) & (height > 0.87))
    colours[collar] = look.skin
    colours[height < 0.27] = look.trousers
    colours[(height > 0.265) & (height < 0.295)] = look.trousers * 0.4
    return colours


def _paint_arm(surface: Surface, look: Look) -> np.ndarray:
    reach = {'none': 0.05, 'short': 0.42, 'long': 0.95}[look.outfit.sleeves]
    sleeve = look.second if look.pattern == 'halves' else look.shirt
    colours = _two_tone(surface.height < reach, sleeve, look.skin)
    cuff = (surface.height >= reach - 0.045) & (surface.height < reach)
    colours[cuff] = sleeve * 0.75
    return colours


def _paint_leg(surface: Surface, look: Look) -> np.ndarray:
    reach = {'short': 0.46, 'long': 0.97, 'skirt': 0.14}[look.outfit.legs]
    colours = _two_tone(surface.height < reach, look.trousers, look.skin)
    if look.outfit.legs != 'long':
        colours[surface.height > 0.88] = look.socks
    seam = (np.abs(np.sin(surface.angle)) > 0.93) & (surface.height < reach)
    colours[seam] *= 0.8
    return colours


def _paint_foot(surface: Surface, look: Look) -> np.ndarray:
    sole = np.cos(surface.angle) < -0.6
    return _two_tone(sole, 0.35 * look.shoes + 120, look.shoes)


def _paint_hand(surface: Surface, look: Look) -> np.ndarray:
    return np.tile(look.skin, (len(surface.faces), 1))


def _paint_head(surface: Surface, look: Look) -> np.ndarray:
    height, forward = surface.height, np.cos(surface.angle)
    hairline = np.where(forward > 0.45, 0.74, np.where(forward > 0.0, 0.58, np.where(forward > -0.35, 0.36, 0.24)))
    covering = {'bald': look.skin * 1.03, 'cap': look.second}.get(look.outfit.hair, look.hair)
    colours = _two_tone(height > hairline, covering, look.skin)
    if look.outfit.hair == 'cap':
        colours[(height > hairline) & (height < 0.56)] = look.hair
    cap = height == 1
    colours[cap] = covering
    return colours


def _two_tone(chosen: np.ndarray, if_chosen: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(chosen[:, None], if_chosen, otherwise).astype(float)


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return 255.0 * np.array([blue, green, red])
