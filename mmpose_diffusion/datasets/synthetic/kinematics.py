"""From the curves of a motion to bone frames: arms and trunk forward, legs by inverse kinematics.

Feet are given as paths on the ground, so a planted foot stands still by construction; the pelvis is lowered where a
leg would not reach.
"""

from dataclasses import dataclass, fields

import numpy as np

from .rotations import rotate, rotation_y, rotation_z, unit, yaw_pitch_roll
from .skeleton import BONE, BONES, JOINT_LIMITS, SIDES, Body, keypoint_places

STRAIGHTEST_LEG = 0.992  # share of the leg length that a planted leg may stretch to
MOST_BENT_KNEE = np.radians(150)


@dataclass
class MotionCurves:
    """A motion at T times: metres and radians; sides are left, right. Angles are yaw, pitch, roll."""

    root: np.ndarray  # [T, 3] middle of the hips
    root_angles: np.ndarray  # [T, 3]
    spine: np.ndarray  # [T, 3] chest relative to pelvis
    head: np.ndarray  # [T, 3] head relative to chest, shared by neck and head
    arms: np.ndarray  # [T, 2, 4] plane, elevation, twist of the shoulder; elbow
    balls: np.ndarray  # [T, 2, 3] balls of the feet
    foot_yaw: np.ndarray  # [T, 2]
    foot_pitch: np.ndarray  # [T, 2] positive = heel up, turning about the ball
    contact: np.ndarray  # [T, 2] bool: the ball of the foot carries weight and stands still

    def at(self, index: np.ndarray) -> 'MotionCurves':
        """The same motion at some of its times."""
        return MotionCurves(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass
class PosedSkeleton:
    """Bone frames in the world at T times, and the keypoints they carry."""

    rotations: np.ndarray  # [T, 16, 3, 3]
    origins: np.ndarray  # [T, 16, 3]
    keypoints: np.ndarray  # [T, 17, 3] in PoseTrack18 order, ears included
    contact: np.ndarray  # [T, 2] bool
    balls: np.ndarray  # [T, 2, 3]


def place_motion(curves: MotionCurves, position: np.ndarray, yaw: float) -> MotionCurves:
    """Turn a motion about the vertical through the origin, then move it to `position` [2] on the ground."""
    rotation = rotation_z(yaw)
    offset = np.array([position[0], position[1], 0.0])
    root_angles = curves.root_angles.copy()
    root_angles[:, 0] += yaw
    return MotionCurves(
        root=curves.root @ rotation.T + offset, root_angles=root_angles, spine=curves.spine, head=curves.head,
        arms=curves.arms, balls=curves.balls @ rotation.T + offset, foot_yaw=curves.foot_yaw + yaw,
        foot_pitch=curves.foot_pitch, contact=curves.contact,
    )  # fmt: skip


def ankles_of(curves: MotionCurves, body: Body) -> np.ndarray:
    """Ankle positions [T, 2, 3] of the feet as the curves want them."""
    rotation = rotation_z(curves.foot_yaw) @ rotation_y(curves.foot_pitch)  # [T, 2, 3, 3]
    return curves.balls - rotate(rotation, body.ball_offset)


def missing_reach(curves: MotionCurves, body: Body) -> np.ndarray:
    """How far the pelvis must come down so that planted legs reach their ankles, [T] metres."""
    hips = _hips(curves, body)
    ankles = ankles_of(curves, body)
    apart = np.linalg.norm((hips - ankles)[..., :2], axis=-1)
    longest = STRAIGHTEST_LEG * body.leg
    highest = ankles[..., 2] + np.sqrt(np.maximum(longest**2 - apart**2, 0.0))
    return np.where(curves.contact, np.maximum(hips[..., 2] - highest, 0.0), 0.0).max(axis=1)


def smooth_envelope(values: np.ndarray, reach: int) -> np.ndarray:
    """A smooth curve [T] nowhere below `values` [T]; `reach` is how many entries ahead it starts to rise."""
    padded = np.pad(values, 2 * reach, mode='edge')
    window = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    highest = window.max(axis=1)
    weights = np.hanning(2 * reach + 3)[1:-1]
    return np.convolve(highest, weights / weights.sum(), mode='valid')


def solve_pose(curves: MotionCurves, body: Body) -> PosedSkeleton:
    """Bone frames and keypoints of a motion; angles beyond the joint limits are held at the limit."""
    rest = body.bone_origins()
    rotations = np.zeros((len(curves.root), len(BONES), 3, 3))
    origins = np.zeros((len(curves.root), len(BONES), 3))
    _pose_trunk(rotations, origins, curves, rest)
    for side, name in enumerate(SIDES):
        _pose_arm(rotations, origins, curves.arms[:, side], rest, name)
    hips = _hips(curves, body)
    ankles = ankles_of(curves, body)
    for side, name in enumerate(SIDES):
        foot = rotation_z(curves.foot_yaw[:, side]) @ rotation_y(curves.foot_pitch[:, side])
        _pose_leg(rotations, origins, (hips[:, side], ankles[:, side], foot), body, name)
    keypoints = np.stack(
        [origins[:, bone] + rotate(rotations[:, bone], place) for bone, place in keypoint_places(body)], axis=1
    )
    return PosedSkeleton(rotations, origins, keypoints, curves.contact, curves.balls)


def within_limits(angle: np.ndarray, joint: str) -> np.ndarray:
    """Hold `angle` (radians) inside the limits of `joint`."""
    low, high = np.radians(JOINT_LIMITS[joint])
    return np.clip(angle, low, high)


def _hips(curves: MotionCurves, body: Body) -> np.ndarray:
    sideways = np.array([[0.0, body.hip_half_width, 0.0], [0.0, -body.hip_half_width, 0.0]])  # [2, 3]
    return curves.root[:, None] + rotate(yaw_pitch_roll(curves.root_angles)[:, None], sideways)


def _limited_angles(angles: np.ndarray, part: str) -> np.ndarray:
    names = (f'{part}_yaw', f'{part}_pitch', f'{part}_roll')
    return np.stack([within_limits(angles[:, axis], name) for axis, name in enumerate(names)], axis=-1)


def _attach(origins: np.ndarray, rotations: np.ndarray, rest: np.ndarray, child: int, parent: int) -> None:
    origins[:, child] = origins[:, parent] + rotate(rotations[:, parent], rest[child] - rest[parent])


def _pose_trunk(rotations: np.ndarray, origins: np.ndarray, curves: MotionCurves, rest: np.ndarray) -> None:
    pelvis, chest, neck, head = (BONE[name] for name in ('pelvis', 'chest', 'neck', 'head'))
    origins[:, pelvis] = curves.root
    rotations[:, pelvis] = yaw_pitch_roll(curves.root_angles)
    _attach(origins, rotations, rest, chest, pelvis)
    rotations[:, chest] = rotations[:, pelvis] @ yaw_pitch_roll(_limited_angles(curves.spine, 'spine'))
    half_turn = yaw_pitch_roll(0.5 * _limited_angles(curves.head, 'head'))
    _attach(origins, rotations, rest, neck, chest)
    rotations[:, neck] = rotations[:, chest] @ half_turn
    _attach(origins, rotations, rest, head, neck)
    rotations[:, head] = rotations[:, neck] @ half_turn


def _pose_arm(rotations: np.ndarray, origins: np.ndarray, arm: np.ndarray, rest: np.ndarray, side: str) -> None:
    sign = 1 if side == 'left' else -1
    upper, fore, hand = (BONE[f'{side}_{name}'] for name in ('upper_arm', 'forearm', 'hand'))
    plane = sign * within_limits(arm[:, 0], 'shoulder_plane')
    elevation = within_limits(arm[:, 1], 'shoulder_elevation')
    twist = sign * within_limits(arm[:, 2], 'shoulder_twist')
    elbow = within_limits(arm[:, 3], 'elbow')
    _attach(origins, rotations, rest, upper, BONE['chest'])
    raised = rotation_z(plane) @ rotation_y(-elevation) @ rotation_z(twist - plane)
    rotations[:, upper] = rotations[:, BONE['chest']] @ raised
    _attach(origins, rotations, rest, fore, upper)
    rotations[:, fore] = rotations[:, upper] @ rotation_y(-elbow)
    _attach(origins, rotations, rest, hand, fore)
    rotations[:, hand] = rotations[:, fore] @ rotation_y(np.full(len(arm), -0.12))


def _pose_leg(
    rotations: np.ndarray, origins: np.ndarray, targets: tuple[np.ndarray, ...], body: Body, side: str
) -> None:
    """Two-bone inverse kinematics; `targets` are hip [T, 3], ankle [T, 3] and the foot's rotation [T, 3, 3]."""
    hip, ankle, foot_rotation = targets
    thigh, shin, foot = (BONE[f'{side}_{name}'] for name in ('thigh', 'shin', 'foot'))
    shortest = np.sqrt(body.thigh**2 + body.shin**2 + 2 * body.thigh * body.shin * np.cos(MOST_BENT_KNEE))
    axis = unit(ankle - hip)
    distance = np.linalg.norm(ankle - hip, axis=-1, keepdims=True)
    reach = np.clip(distance, shortest, 0.9995 * body.leg)
    ankle = hip + axis * reach
    # The knee points half way between where pelvis and foot point, at a right angle to the line hip - ankle.
    ahead = rotations[:, BONE['pelvis'], :, 0] + foot_rotation[:, :, 0] + np.array([0.0, 0.0, 0.3])
    ahead = unit(ahead - axis * np.sum(ahead * axis, axis=-1, keepdims=True))
    along = (body.thigh**2 - body.shin**2 + reach**2) / (2 * reach)
    knee = hip + axis * along + ahead * np.sqrt(np.maximum(body.thigh**2 - along**2, 0.0))
    left = np.cross(-axis, ahead)
    for bone, start, end in ((thigh, hip, knee), (shin, knee, ankle)):
        up = unit(start - end)
        origins[:, bone] = start
        rotations[:, bone] = np.stack([np.cross(left, up), left, up], axis=-1)
    origins[:, foot] = ankle
    rotations[:, foot] = foot_rotation
