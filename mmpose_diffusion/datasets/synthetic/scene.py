"""Draws the plan of one video: who does what where, in which light, in front of what, seen by which camera."""

from dataclasses import dataclass, replace

import numpy as np

from .actions import ACTIONS, TRAVELLING, perform
from .appearance import build_person, random_look
from .camera import CameraPath, film
from .difficulty import Difficulty
from .kinematics import PosedSkeleton
from .mesh import SkinnedMesh
from .props import OCCLUDERS, Prop, occluder, stool
from .rotations import unit
from .skeleton import BONE, SIDES, Body, random_body
from .style import MotionStyle, random_style

LAYOUT_ATTEMPTS = 40
SMALLEST_GAP = 0.75  # metres between the pelvises of two people, so that bodies do not run into each other
FACING_CAMERA = -np.pi / 2


@dataclass
class Performer:
    """One person of a scene at all its times."""

    action: str
    body: Body
    style: MotionStyle
    mesh: SkinnedMesh
    pose: PosedSkeleton


@dataclass
class Light:
    """One distant lamp and light from everywhere."""

    direction: np.ndarray  # [3] unit, towards the lamp
    ambient: float
    diffuse: float
    colour: np.ndarray  # [3] BGR, about 1


@dataclass
class Scene:
    """All that is needed to draw a video, at T times."""

    times: np.ndarray  # [T] seconds, 0 in the middle of the video
    people: list[Performer]
    bystanders: list[Performer]
    props: list[Prop]
    light: Light
    camera: CameraPath


def plan_scene(
    times: np.ndarray, people: int, size: tuple[int, int], difficulty: Difficulty, generator: np.random.Generator,
    actions: tuple[str, ...] | None = None,
) -> Scene:  # fmt: skip
    """A scene for `people` persons; `actions` names what they do in turn, chance decides without it."""
    names = _choose_actions(people, actions, generator)
    performers = _choose_layout(names, times, difficulty, generator)
    centre = np.mean([person.pose.origins[:, 0] for person in performers], axis=0)  # [T, 3]
    distance = (4.3 + 0.45 * people) * generator.uniform(0.78, 1.1)
    nearest = min(person.pose.origins[:, 0, 1].min() for person in performers) - centre[:, 1].mean()
    distance = max(distance, 2.6 - nearest)
    move = str(generator.choice(difficulty.camera_moves))
    steady = _smooth_centre(times, centre)
    camera = film(move, times, steady, distance, size, generator, difficulty.shake)
    props = [_stool_for(person, generator) for person in performers if person.action == 'SittingDown']
    props += _occluders(difficulty, steady.mean(axis=0), distance, generator)
    bystanders = []
    if generator.uniform() < difficulty.bystanders:
        bystanders = _bystanders(times, centre, camera, generator)
    return Scene(times, performers, bystanders, props, _random_light(generator), camera)


def make_performer(
    action: str, times: np.ndarray, position: np.ndarray, yaw: float, generator: np.random.Generator,
    curvature: float | None = None,
) -> Performer:  # fmt: skip
    """A random person performing `action`; at time 0 at `position` [2]."""
    body, look, style = random_body(generator), random_look(generator), random_style(generator)
    if curvature is not None:
        style = replace(style, curvature=curvature)
    pose = perform(action, times, body, style, position, yaw)
    return Performer(action, body, style, build_person(body, look), pose)


def _choose_actions(people: int, actions: tuple[str, ...] | None, generator: np.random.Generator) -> list[str]:
    if actions is not None:
        unknown = [name for name in actions if name not in ACTIONS]
        if unknown or not actions:
            raise ValueError(f'Unknown actions {unknown}; choose among: {", ".join(ACTIONS)}')
        return [actions[index % len(actions)] for index in range(people)]
    weights = np.array([2.5 if name in TRAVELLING else 1.0 for name in ACTIONS])
    return [str(name) for name in generator.choice(list(ACTIONS), people, p=weights / weights.sum())]


def _choose_layout(
    names: list[str], times: np.ndarray, difficulty: Difficulty, generator: np.random.Generator
) -> list[Performer]:
    """Try random places until nobody runs into anybody; the best of all tries if none is free of collisions."""
    curvatures = [_curvature(times, generator) for _ in names]
    seeds = generator.integers(2**31, size=len(names))
    best, best_gap = None, -1.0
    for _ in range(LAYOUT_ATTEMPTS):
        places = [_place(index, names, difficulty, generator) for index in range(len(names))]
        gap = _smallest_gap(names, times, places, curvatures)
        if gap > best_gap:
            best, best_gap = places, gap
        if gap > SMALLEST_GAP:
            break
    return [
        make_performer(name, times, position, yaw, np.random.default_rng(seed), curvature)
        for name, (position, yaw), curvature, seed in zip(names, best, curvatures, seeds, strict=True)
    ]


def _curvature(times: np.ndarray, generator: np.random.Generator) -> float:
    """Paths of long videos are circles, so that walkers stay in the picture."""
    long = times[-1] - times[0] > 2.5
    return float(generator.choice([-1.0, 1.0]) * (generator.uniform(0.55, 0.95) if long else generator.uniform(0, 0.3)))


def _place(
    index: int, names: list[str], difficulty: Difficulty, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Where a person is in the middle of the video, and the direction it faces."""
    count = len(names)
    travels = names[index] in TRAVELLING
    if difficulty.crossing:
        half_width = 0.55 + 0.38 * count
        position = generator.uniform((-half_width, -1.1), (half_width, 1.3))
        if travels and generator.uniform() < 0.75:
            return position, float(generator.choice([0.0, np.pi]) + generator.normal(0, 0.35))
    else:
        position = np.array([1.35 * (index - (count - 1) / 2), 0.0]) + generator.uniform(-0.12, 0.12, 2)
        if travels:
            return position, float(FACING_CAMERA + generator.choice([0.0, np.pi]) + generator.normal(0, 0.2))
    if generator.uniform() < 0.3:
        return position, float(generator.uniform(-np.pi, np.pi))
    return position, float(FACING_CAMERA + generator.normal(0, 0.6))


def _smallest_gap(names: list[str], times: np.ndarray, places: list, curvatures: list[float]) -> float:
    """Rough smallest distance between two people over the video, metres."""
    speeds = {'Walking': 1.05, 'Running': 2.6}
    tracks = []
    for name, (position, yaw), curvature in zip(names, places, curvatures, strict=True):
        length = speeds.get(name, 0.0) * times
        heading = yaw + 0.5 * curvature * length
        chord = length * np.sinc(0.5 * curvature * length / np.pi)
        tracks.append(position + chord[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1))
    gaps = [
        np.linalg.norm(tracks[i] - tracks[j], axis=-1).min() for i in range(len(tracks)) for j in range(i)
    ]  # fmt: skip
    return float(min(gaps, default=np.inf))


def _smooth_centre(times: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """A straight, even motion close to the people's centre, at the height of the hips, [T, 3]."""
    if len(times) < 2:
        return np.array([[centre[0, 0], centre[0, 1], 0.95]])
    slope, offset = np.polyfit(times, centre[:, :2], 1)
    line = times[:, None] * slope * 0.8 + offset
    return np.concatenate([line, np.full((len(times), 1), 0.95)], axis=1)


def _random_light(generator: np.random.Generator) -> Light:
    direction = unit(np.array([generator.uniform(-1, 1), generator.uniform(-1.0, 0.3), generator.uniform(0.6, 1.4)]))
    ambient = generator.uniform(0.45, 0.65)
    colour = 1 + generator.uniform(-0.08, 0.08) * np.array([1.0, 0.0, -1.0])
    return Light(direction, float(ambient), float(1.1 - ambient), colour)


def _stool_for(person: Performer, generator: np.random.Generator) -> Prop:
    lowest = np.argmin(person.pose.origins[:, 0, 2])
    pelvis = person.pose.origins[:, 0]
    forward = person.pose.rotations[lowest, 0, :, 0]
    yaw = float(np.arctan2(forward[1], forward[0]))
    height = person.body.ankle_height + person.body.shin - 0.06
    # The feet tell where the seat is, also when the video does not last until the person sits.
    ankles = [BONE[f'{side}_foot'] for side in SIDES]
    heels = person.pose.origins[:, ankles, :2].mean(axis=(0, 1))
    seat = heels - 0.88 * person.body.thigh * np.array([np.cos(yaw), np.sin(yaw)])
    seat = 0.5 * (seat + pelvis[lowest, :2]) if pelvis[lowest, 2] < height + 0.2 else seat
    return stool(seat, height, yaw, generator.uniform(40, 190, 3))


def _occluders(
    difficulty: Difficulty, centre: np.ndarray, distance: float, generator: np.random.Generator
) -> list[Prop]:
    low, high = difficulty.occluders
    props = []
    for _ in range(int(generator.integers(low, high + 1))):
        place = centre[:2] + np.array([generator.uniform(-2.0, 2.0), -generator.uniform(1.5, max(distance - 2.6, 1.8))])
        props.append(occluder(str(generator.choice(OCCLUDERS)), place, generator))
    return props


def _bystanders(
    times: np.ndarray, centre: np.ndarray, camera: CameraPath, generator: np.random.Generator
) -> list[Performer]:
    """One or two people far behind the others."""
    middle = len(times) // 2
    sight = unit((centre[middle] - camera.positions[middle])[:2])
    across = np.array([sight[1], -sight[0]])
    side = generator.choice([-1.0, 1.0])
    found = []
    for index in range(int(generator.integers(1, 3))):
        place = centre[middle, :2] + sight * generator.uniform(4.5, 5.2) + across * side * (1.6 + 0.8 * index)
        action = str(generator.choice(['Waving', 'Stretching', 'Boxing', 'Dancing']))
        found.append(make_performer(action, times, place, float(generator.uniform(-np.pi, np.pi)), generator))
    return found
