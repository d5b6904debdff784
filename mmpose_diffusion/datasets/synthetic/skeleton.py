"""The skeleton: bones, keypoints, joint limits and the proportions of one person.

In the rest pose the person stands upright with hanging arms, every bone frame is parallel to the body's axes
(x forward, y left, z up) and the middle of the hips is the origin. Lengths are metres.
"""

from dataclasses import dataclass

import numpy as np

POSETRACK_KEYPOINTS = (
    'nose', 'head_bottom', 'head_top', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
    'right_ankle',
)  # fmt: skip
EARS = (3, 4)  # never annotated in PoseTrack18

BONES = (
    'pelvis', 'chest', 'neck', 'head', 'left_upper_arm', 'left_forearm', 'left_hand', 'right_upper_arm',
    'right_forearm', 'right_hand', 'left_thigh', 'left_shin', 'left_foot', 'right_thigh', 'right_shin', 'right_foot',
)  # fmt: skip
BONE = {name: index for index, name in enumerate(BONES)}
SIDES = ('left', 'right')

# Degrees. Arms follow the elevation description of shoulder motion: the arm is raised by `elevation` in a vertical
# plane (0 = straight ahead, 90 = sideways, 180 = behind) and turned about itself by `twist` (positive = outwards).
JOINT_LIMITS = {
    'spine_yaw': (-50, 50), 'spine_pitch': (-30, 75), 'spine_roll': (-40, 40),
    'head_yaw': (-75, 75), 'head_pitch': (-50, 60), 'head_roll': (-40, 40),
    'shoulder_plane': (-50, 180), 'shoulder_elevation': (-60, 180), 'shoulder_twist': (-90, 110),
    'elbow': (0, 150), 'knee': (0, 155), 'hip': (-45, 140),
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """Proportions of one person in metres; `girth` widens trunk and limbs, 1 is average."""

    height: float
    hip_height: float
    hip_half_width: float
    thigh: float
    shin: float
    ankle_height: float
    foot: float
    spine: float
    trunk: float
    shoulder_half_width: float
    upper_arm: float
    forearm: float
    head: float
    girth: float = 1.0

    @property
    def leg(self) -> float:
        """Length of the stretched leg, hip to ankle."""
        return self.thigh + self.shin

    @property
    def ball_offset(self) -> np.ndarray:
        """From the ankle to the ball of the foot on the ground, [3]."""
        return np.array([0.5 * self.foot, 0.0, -self.ankle_height])

    def bone_origins(self) -> np.ndarray:
        """Where the bones begin in the rest pose, [16, 3]."""
        neck = np.array([-0.005, 0.0, self.trunk])
        origins = {
            'pelvis': np.zeros(3),
            'chest': np.array([0.0, 0.0, self.spine]),
            'neck': neck,
            'head': neck + [0.012, 0.0, 0.055 * self.height],
        }
        for sign, side in zip((1, -1), SIDES, strict=True):
            shoulder = np.array([0.0, sign * self.shoulder_half_width, self.trunk - 0.018 * self.height])
            hip = np.array([0.0, sign * self.hip_half_width, 0.0])
            down = np.array([0.0, 0.0, -1.0])
            origins[f'{side}_upper_arm'] = shoulder
            origins[f'{side}_forearm'] = shoulder + self.upper_arm * down
            origins[f'{side}_hand'] = shoulder + (self.upper_arm + self.forearm) * down
            origins[f'{side}_thigh'] = hip
            origins[f'{side}_shin'] = hip + self.thigh * down
            origins[f'{side}_foot'] = hip + self.leg * down
        return np.stack([origins[name] for name in BONES])


def average_body(height: float = 1.75) -> Body:
    """A body of average proportions."""
    ankle_height = 0.039 * height
    hip_height = 0.53 * height
    leg = hip_height - ankle_height
    return Body(
        height=height, hip_height=hip_height, hip_half_width=0.056 * height, thigh=0.499 * leg, shin=0.501 * leg,
        ankle_height=ankle_height, foot=0.152 * height, spine=0.13 * height, trunk=0.302 * height,
        shoulder_half_width=0.108 * height, upper_arm=0.178 * height, forearm=0.146 * height, head=0.118 * height,
    )  # fmt: skip


def random_body(generator: np.random.Generator) -> Body:
    """A person of random height, limb proportions, shoulder and hip width, and girth."""
    body = average_body(float(np.clip(generator.normal(1.71, 0.1), 1.45, 1.98)))

    def vary(value: float, spread: float) -> float:
        return value * float(np.clip(generator.normal(1.0, spread), 1 - 2 * spread, 1 + 2 * spread))

    thigh, shin = vary(body.thigh, 0.035), vary(body.shin, 0.035)
    return Body(
        height=body.height, hip_height=thigh + shin + body.ankle_height, hip_half_width=vary(body.hip_half_width, 0.07),
        thigh=thigh, shin=shin, ankle_height=body.ankle_height, foot=vary(body.foot, 0.04),
        spine=body.spine, trunk=vary(body.trunk, 0.03), shoulder_half_width=vary(body.shoulder_half_width, 0.06),
        upper_arm=vary(body.upper_arm, 0.035), forearm=vary(body.forearm, 0.035), head=vary(body.head, 0.03),
        girth=float(np.clip(generator.normal(1.0, 0.12), 0.8, 1.35)),
    )  # fmt: skip


def keypoint_places(body: Body) -> list[tuple[int, np.ndarray]]:
    """For each PoseTrack keypoint the bone that carries it and its place in that bone's frame."""
    here = np.zeros(3)
    head = BONE['head']
    places = {
        'nose': (head, body.head * np.array([0.66, 0.0, 0.43])),
        'head_bottom': (head, here),
        'head_top': (head, body.head * np.array([0.03, 0.0, 1.08])),
        'left_ear': (head, body.head * np.array([0.02, 0.37, 0.45])),
        'right_ear': (head, body.head * np.array([0.02, -0.37, 0.45])),
    }
    for side in SIDES:
        bones = (('shoulder', 'upper_arm'), ('elbow', 'forearm'), ('wrist', 'hand'), ('hip', 'thigh'),
                 ('knee', 'shin'), ('ankle', 'foot'))  # fmt: skip
        for joint, bone in bones:
            places[f'{side}_{joint}'] = (BONE[f'{side}_{bone}'], here)
    return [places[name] for name in POSETRACK_KEYPOINTS]
