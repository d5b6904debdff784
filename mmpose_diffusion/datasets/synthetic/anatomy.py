"""The shape of a clothed person: torso, limbs, hands, feet and head as lofts around the skeleton.

Numbers are metres for a body of 1.75 m and average girth; they are scaled to the body at hand.
"""

from dataclasses import dataclass

import numpy as np

from .mesh import PART, Surface, loft, patch
from .skeleton import BONE, SIDES, Body, average_body


@dataclass(frozen=True)
class Outfit:
    """Which garments are worn; their colours are chosen in appearance.py."""

    sleeves: str = 'short'  # none, short, long
    legs: str = 'long'  # short, long, skirt
    hair: str = 'short'  # bald, short, long, cap
    looseness: float = 1.0  # width of shirt and trousers


def random_outfit(generator: np.random.Generator) -> Outfit:
    """Garments and hair style of one person."""
    return Outfit(
        sleeves=str(generator.choice(['none', 'short', 'short', 'long'])),
        legs=str(generator.choice(['short', 'long', 'long', 'skirt'], p=[0.3, 0.3, 0.25, 0.15])),
        hair=str(generator.choice(['bald', 'short', 'short', 'long', 'long', 'cap'])),
        looseness=float(generator.uniform(1.0, 1.12)),
    )


def person_surfaces(body: Body, outfit: Outfit) -> list[Surface]:
    """All surfaces of a person in the rest pose."""
    surfaces = [_torso(body, outfit), _neck(body)]
    for side in SIDES:
        surfaces += [_arm(body, outfit, side), _hand(body, side), _leg(body, outfit, side), _foot(body, side)]
    if outfit.legs == 'skirt':
        surfaces.append(_skirt(body))
    return surfaces + _head(body, outfit)


def _torso(body: Body, outfit: Outfit) -> Surface:
    scale, girth = _scale(body), body.girth * outfit.looseness
    hips = body.hip_half_width / average_body(body.height).hip_half_width * girth
    shoulders = body.shoulder_half_width / (0.108 * body.height)
    belly = 0.03 * max(body.girth - 1.0, 0.0)
    rings = [  # height, shift forward, half depth, half width, chest weight
        (-0.115, -0.005, 0.050 * girth, 0.070 * hips, 0.0),
        (-0.080, -0.008, 0.100 * girth, 0.140 * hips, 0.0),
        (-0.020, -0.014, 0.118 * girth, 0.168 * hips, 0.0),
        (0.060, -0.008, 0.112 * girth, 0.165 * hips, 0.0),
        (0.140, 0.004 + belly, 0.102 * girth + belly, 0.146 * girth, 0.35),
        (0.220, 0.005 + belly, 0.100 * girth + belly, 0.142 * girth, 0.75),
        (0.310, 0.006, 0.110 * girth, 0.160 * girth, 1.0),
        (0.390, 0.008, 0.120 * girth, 0.176 * girth * shoulders, 1.0),
        (0.450, 0.002, 0.108 * girth, 0.180 * girth * shoulders, 1.0),
        (0.495, -0.006, 0.084, 0.168 * shoulders, 1.0),
        (0.520, -0.008, 0.070, 0.128 * shoulders, 1.0),
        (0.540, -0.007, 0.058, 0.076, 1.0),
        (0.552, -0.005, 0.052, 0.056, 1.0),
    ]
    rings = _scaled(rings, scale)
    rings[:, 0] *= body.trunk / (0.302 * body.height)
    return loft('torso', rings, 20, (BONE['pelvis'], BONE['chest']), 'torso')


def _neck(body: Body) -> Surface:
    scale = _scale(body)
    origin = body.bone_origins()[BONE['neck']]
    rings = [
        (-0.030, 0.0, 0.060, 0.064, 0.0),
        (0.020, 0.004, 0.054, 0.055, 0.0),
        (0.070, 0.010, 0.052, 0.052, 0.6),
        (0.125, 0.016, 0.050, 0.052, 1.0),
    ]
    return loft('neck', _scaled(rings, scale), 14, (BONE['neck'], BONE['head']), 'neck', origin)


def _arm(body: Body, outfit: Outfit, side: str) -> Surface:
    scale, girth = _scale(body), body.girth**0.7
    upper, fore = body.upper_arm / scale, body.forearm / scale
    sleeve = outfit.looseness * girth if outfit.sleeves == 'long' else girth
    rings = [
        (0.042, 0.0, 0.014, 0.012, 0.0),
        (0.032, 0.0, 0.036 * girth, 0.032 * girth, 0.0),
        (0.002, 0.0, 0.054 * girth, 0.050 * girth, 0.0),
        (-0.070, 0.0, 0.055 * girth, 0.050 * girth, 0.0),
        (-0.160, 0.004, 0.052 * girth, 0.048 * girth, 0.0),
        (-upper + 0.045, 0.0, 0.043 * girth, 0.042 * girth, 0.08),
        (-upper, -0.004, 0.041 * sleeve, 0.041 * sleeve, 0.5),
        (-upper - 0.045, 0.002, 0.043 * sleeve, 0.042 * sleeve, 0.92),
        (-upper - 0.100, 0.003, 0.042 * sleeve, 0.040 * sleeve, 1.0),
        (-upper - 0.6 * fore, 0.0, 0.034 * sleeve, 0.033 * sleeve, 1.0),
        (-upper - fore, 0.0, 0.027 * girth, 0.023 * girth, 1.0),
        (-upper - fore - 0.015, 0.0, 0.024, 0.019, 1.0),
    ]
    origin = body.bone_origins()[BONE[f'{side}_upper_arm']]
    bones = (BONE[f'{side}_upper_arm'], BONE[f'{side}_forearm'])
    return loft(f'{side}_arm', _scaled(rings, scale), 10, bones, (f'{side}_upper_arm', f'{side}_forearm'), origin)


def _hand(body: Body, side: str) -> Surface:
    bone = BONE[f'{side}_hand']
    rings = [
        (0.012, 0.0, 0.024, 0.019, 0.0),
        (-0.020, 0.002, 0.030, 0.020, 0.0),
        (-0.055, 0.006, 0.042, 0.019, 0.0),
        (-0.095, 0.006, 0.039, 0.018, 0.0),
        (-0.140, 0.004, 0.030, 0.014, 0.0),
        (-0.172, 0.004, 0.012, 0.007, 0.0),
    ]
    centre = body.bone_origins()[bone]
    return loft(f'{side}_hand', _scaled(rings, _scale(body)), 9, (bone, bone), f'{side}_hand', centre, steps=1)


def _leg(body: Body, outfit: Outfit, side: str) -> Surface:
    scale = _scale(body)
    girth = body.girth**0.85
    cloth = girth * (outfit.looseness if outfit.legs == 'long' else 1.0)
    loose = 1.22 if outfit.legs == 'long' else 1.0
    thigh, shin = body.thigh / scale, body.shin / scale
    rings = [
        (0.060, 0.0, 0.050 * girth, 0.045 * girth, 0.0),
        (0.020, -0.004, 0.092 * girth, 0.084 * girth, 0.0),
        (-0.080, -0.002, 0.092 * girth, 0.083 * girth, 0.0),
        (-0.180, 0.002, 0.082 * girth, 0.074 * girth, 0.0),
        (-0.290, 0.004, 0.070 * cloth, 0.064 * cloth, 0.0),
        (-thigh + 0.055, 0.004, 0.058 * cloth, 0.055 * cloth, 0.08),
        (-thigh, 0.004, 0.056 * cloth, 0.053 * cloth, 0.5),
        (-thigh - 0.055, -0.002, 0.055 * cloth, 0.052 * cloth, 0.92),
        (-thigh - 0.130, -0.014, 0.060 * cloth, 0.054 * cloth, 1.0),
        (-thigh - 0.6 * shin, -0.012, 0.050 * cloth, 0.045 * cloth, 1.0),
        (-thigh - 0.85 * shin, -0.004, 0.038 * cloth * loose, 0.035 * cloth * loose, 1.0),
        (-thigh - shin, 0.0, 0.037 * loose, 0.034 * loose, 1.0),
        (-thigh - shin - 0.022, 0.0, 0.037 * loose, 0.034 * loose, 1.0),
    ]
    origin = body.bone_origins()[BONE[f'{side}_thigh']]
    bones = (BONE[f'{side}_thigh'], BONE[f'{side}_shin'])
    return loft(f'{side}_leg', _scaled(rings, scale), 12, bones, (f'{side}_thigh', f'{side}_shin'), origin)


def _foot(body: Body, side: str) -> Surface:
    bone = BONE[f'{side}_foot']
    length = body.foot / 0.266
    sole = -body.ankle_height
    rings = []
    for x, top, width in (
        (-0.072, -0.020, 0.022), (-0.060, 0.012, 0.033), (-0.030, 0.034, 0.039), (0.020, 0.030, 0.041),
        (0.070, 0.004, 0.045), (0.125, -0.022, 0.050), (0.170, -0.034, 0.045), (0.192, -0.046, 0.026),
    ):  # fmt: skip
        top = top * _scale(body)
        rings.append((x * length, 0.5 * (top + sole), 0.5 * (top - sole), width * length, 0.0))
    centre = body.bone_origins()[bone]
    return loft(f'{side}_foot', rings, 10, (bone, bone), f'{side}_foot', centre, along=0, steps=1)


def _skirt(body: Body) -> Surface:
    rings = [
        (0.075, -0.008, 0.118, 0.172, 0.0),
        (0.000, -0.012, 0.132, 0.186, 0.1),
        (-0.120, -0.008, 0.160, 0.205, 0.55),
        (-0.300, 0.000, 0.195, 0.235, 0.9),
    ]
    rings = _scaled(rings, _scale(body))
    rings[:, 2:4] *= body.girth
    surface = loft('skirt', rings, 24, (BONE['pelvis'], BONE['left_thigh']), ('torso', 'left_thigh'))
    on_right = surface.vertices[:, 1] < 0
    surface.bones[on_right, 1] = BONE['right_thigh']
    from_right = on_right[surface.faces].mean(axis=1) > 0.5
    surface.parts[from_right & (surface.parts == PART['left_thigh'])] = PART['right_thigh']
    surface.nearness = 0.1  # cloth covers the thighs it follows
    return surface


HEAD_RINGS = np.array([  # height, shift forward, half depth, half width; shares of the head's length
    (-0.13, 0.20, 0.10, 0.10), (-0.09, 0.18, 0.25, 0.20), (0.0, 0.13, 0.37, 0.27), (0.14, 0.10, 0.44, 0.32),
    (0.34, 0.08, 0.475, 0.355), (0.56, 0.06, 0.490, 0.372), (0.76, 0.045, 0.470, 0.365), (0.93, 0.03, 0.375, 0.300),
    (1.04, 0.03, 0.215, 0.175), (1.08, 0.03, 0.020, 0.020),
])  # fmt: skip


def _head(body: Body, outfit: Outfit) -> list[Surface]:
    bone = BONE['head']
    origin = body.bone_origins()[bone]
    rings = np.concatenate([HEAD_RINGS * body.head, np.zeros((len(HEAD_RINGS), 1))], axis=1)
    skull = loft('head', rings, 20, (bone, bone), 'head', origin)
    skull.parts[np.cos(skull.angle) > 0.05] = PART['face']
    surfaces = [skull, *_ears(body, bone, origin)]
    for name, corners in face_details(body.head).items():
        surfaces.append(patch(name, corners + origin, bone, 'face', nearness=0.012))
    if outfit.hair == 'long':
        rings = [(0.80, -0.26, 0.26, 0.33, 0), (0.45, -0.30, 0.27, 0.40, 0), (0.05, -0.30, 0.20, 0.40, 0),
                 (-0.35, -0.36, 0.14, 0.36, 0), (-0.62, -0.38, 0.05, 0.25, 0)]  # fmt: skip
        rings = np.array(rings) * body.head
        surfaces.append(loft('hair', rings, 14, (bone, bone), 'head', origin))
    if outfit.hair == 'cap':
        brim = np.array([[[0.45, 0.3, 0.74], [0.86, 0.2, 0.70], [0.86, -0.2, 0.70], [0.45, -0.3, 0.74]]]) * body.head
        surfaces.append(patch('brim', np.concatenate([brim, brim[:, ::-1]]) + origin, bone, 'face'))
    return surfaces


def _ears(body: Body, bone: int, origin: np.ndarray) -> list[Surface]:
    rings = np.array([(0.28, -0.01, 0.03, 0.02, 0), (0.38, 0.0, 0.07, 0.045, 0), (0.52, 0.0, 0.09, 0.05, 0),
                      (0.58, 0.0, 0.03, 0.02, 0)]) * body.head  # fmt: skip
    return [
        loft('ear', rings, 8, (bone, bone), 'head', origin + body.head * np.array([0.0, sign * 0.37, 0.0]), steps=1)
        for sign in (1, -1)
    ]


def face_details(size: float) -> dict[str, np.ndarray]:
    """Eyes, pupils, brows, mouth and nose as quadrilaterals [Q, 4, 3] in the frame of a head of this size."""

    def on_face(y: float, z: float, out: float) -> list[float]:
        shift, depth, width = (np.interp(z, HEAD_RINGS[:, 0], HEAD_RINGS[:, column]) for column in (1, 2, 3))
        return [shift + depth * np.sqrt(max(1 - (y / width) ** 2, 0.0)) + out, y, z]

    def quad(y: float, z: float, half_width: float, half_height: float, out: float) -> list[list[float]]:
        corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return [on_face(y + sy * half_width, z + sz * half_height, out) for sy, sz in corners]

    tip, base = [0.66, 0.0, 0.43], on_face(0.0, 0.64, 0.01)
    left, right, below = on_face(0.095, 0.37, 0.0), on_face(-0.095, 0.37, 0.0), on_face(0.0, 0.34, 0.0)
    details = {
        'eyes': [quad(sign * 0.155, 0.575, 0.072, 0.040, 0.008) for sign in (1, -1)],
        'pupils': [quad(sign * 0.150, 0.575, 0.032, 0.038, 0.018) for sign in (1, -1)],
        'brows': [quad(sign * 0.160, 0.685, 0.090, 0.020, 0.012) for sign in (1, -1)],
        'mouth': [quad(0.0, 0.175, 0.105, 0.030, 0.010)],
        'nose_sides': [[base, tip, left, left], [base, right, tip, tip]],
        'nose_bottom': [[left, tip, below, below], [tip, right, below, below]],
    }
    return {name: size * np.array(quads) for name, quads in details.items()}


def _scale(body: Body) -> float:
    return body.height / 1.75


def _scaled(rings: list[tuple[float, ...]], scale: float) -> np.ndarray:
    scaled = np.array(rings, dtype=float)
    scaled[:, :4] *= scale
    return scaled
