"""The named actions, and how a person performs one of them."""

from collections.abc import Callable

import numpy as np

from .gestures import boxing, sitting_down, squatting, stretching, throwing, waving
from .jumps import dancing, jumping, jumping_jacks, kicking
from .kinematics import MotionCurves, PosedSkeleton, missing_reach, place_motion, smooth_envelope, solve_pose
from .locomotion import running, walking
from .skeleton import Body
from .style import MotionStyle

Action = Callable[[np.ndarray, Body, MotionStyle], MotionCurves]

# Names are spelled as in Human3.6M, whose action names are the prompts of text-conditioned models.
ACTIONS: dict[str, Action] = {
    'Walking': walking, 'Running': running, 'Waving': waving, 'Jumping': jumping, 'Squatting': squatting,
    'Boxing': boxing, 'Dancing': dancing, 'SittingDown': sitting_down, 'Throwing': throwing,
    'JumpingJacks': jumping_jacks, 'Kicking': kicking, 'Stretching': stretching,
}  # fmt: skip
TRAVELLING = ('Walking', 'Running')
REACH_RATE = 60  # entries per second at which the reach of the legs is checked


def perform(
    action: str, times: np.ndarray, body: Body, style: MotionStyle, position: np.ndarray, yaw: float
) -> PosedSkeleton:
    """A person performing `action` at `times` [T] seconds.

    `position` [2] (metres) and `yaw` say where the performer stands at time 0, and where the path of a traveller leads.
    """
    if action not in ACTIONS:
        raise ValueError(f'Unknown action {action!r}; the actions are: {", ".join(ACTIONS)}')
    curves = ACTIONS[action](times, body, style)
    curves.root[:, 2] -= _lowering(action, times, body, style)
    return solve_pose(place_motion(curves, position, yaw), body)


def _lowering(action: str, times: np.ndarray, body: Body, style: MotionStyle) -> np.ndarray:
    """How far to lower the pelvis at `times` so that planted feet are in reach, without a jerk: [T] metres."""
    grid = np.arange(np.floor((times.min() - 0.5) * REACH_RATE), np.ceil((times.max() + 0.5) * REACH_RATE)) / REACH_RATE
    missing = missing_reach(ACTIONS[action](grid, body, style), body)
    return np.interp(times, grid, smooth_envelope(missing, reach=REACH_RATE // 10))
