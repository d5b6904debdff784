"""Walking and running: footsteps are planned on the ground first, the body follows."""

import numpy as np

from .kinematics import MotionCurves
from .rotations import keyed, smooth_step
from .skeleton import Body
from .style import MotionStyle, degrees, relaxed_arms, still_curves, swing_arm


def walking(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Walk along a gentle arc, one foot always on the ground."""
    period = 1.08 / style.tempo
    gait = Gait(period=period, speed=1.25 * body.leg / period * style.amplitude, duty=0.62, lift=0.07, heel_up=50)
    curves = step_along(times, body, style, gait)
    phase = times / period + style.phase
    swing = np.cos(2 * np.pi * phase) * style.amplitude
    curves.arms = relaxed_arms(times)
    for side, sign in ((0, 1), (1, -1)):
        swing_arm(curves.arms[:, side], degrees(5) - sign * degrees(27) * swing)
        curves.arms[:, side, 3] = degrees(22) - sign * degrees(12) * swing
    curves.spine[:, 0] = degrees(7) * swing
    curves.spine[:, 1] = degrees(3)
    curves.root_angles[:, 0] -= degrees(5) * swing
    curves.root_angles[:, 2] += degrees(2.5) * np.sin(2 * np.pi * phase)
    curves.root[:, 2] += 0.018 * np.cos(4 * np.pi * (phase - 0.28))
    return curves


def running(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Run along an arc, with phases of flight, bent arms and a lean forward."""
    period = 0.72 / style.tempo
    gait = Gait(period=period, speed=2.1 * body.leg / period * style.amplitude, duty=0.34, lift=0.22, heel_up=85)
    curves = step_along(times, body, style, gait)
    phase = times / period + style.phase
    swing = np.cos(2 * np.pi * phase) * style.amplitude
    curves.arms = relaxed_arms(times)
    for side, sign in ((0, 1), (1, -1)):
        swing_arm(curves.arms[:, side], degrees(2) - sign * degrees(45) * swing)
        curves.arms[:, side, 3] = degrees(92) - sign * degrees(12) * swing
    curves.spine[:, 0] = degrees(13) * swing
    curves.spine[:, 1] = degrees(9)
    curves.head[:, 1] = degrees(-10)
    curves.root_angles[:, 0] -= degrees(8) * swing
    curves.root_angles[:, 1] = degrees(6)
    curves.root[:, 2] += 0.045 * np.cos(4 * np.pi * (phase - 0.42)) - 0.03 * body.leg
    return curves


class Gait:
    """Step pattern: seconds per cycle, metres per second, ground share, metres of lift, degrees of heel lift."""

    def __init__(self, period: float, speed: float, duty: float, lift: float, heel_up: float) -> None:
        self.period, self.speed, self.duty, self.lift, self.heel_up = period, speed, duty, lift, heel_up


def step_along(times: np.ndarray, body: Body, style: MotionStyle, gait: Gait) -> MotionCurves:
    """Pelvis along an arc of curvature `style.curvature`, feet planted left and right of it in turn."""
    curves = still_curves(times, body)
    position, heading = _arc(gait.speed * times, style.curvature)
    curves.root[:, :2] = position
    curves.root_angles[:, 0] = heading
    sideways = 0.75 * body.hip_half_width
    for side, sign in ((0, 1), (1, -1)):
        cycle = times / gait.period + style.phase + 0.5 * side
        count = np.floor(cycle)
        share = cycle - count
        swing = np.clip((share - gait.duty) / (1 - gait.duty), 0, 1)
        forward = smooth_step(swing)[:, None]
        here, yaw_here = _foothold(count, side, sign * sideways, style, gait)
        there, yaw_there = _foothold(count + 1, side, sign * sideways, style, gait)
        curves.balls[:, side, :2] = here + (there - here) * forward
        curves.balls[:, side, 2] = gait.lift * body.leg * np.sin(np.pi * swing) ** 2
        curves.foot_yaw[:, side] = yaw_here + (yaw_there - yaw_here) * forward[:, 0] + sign * degrees(6)
        curves.contact[:, side] = share < gait.duty
        push, late = gait.duty, 1 - gait.duty
        curves.foot_pitch[:, side] = degrees(gait.heel_up) * keyed(
            share, [(0, 0), (0.5 * push, 0), (push, 0.75), (push + 0.25 * late, 1), (push + 0.85 * late, -0.2)]
        )
    return curves


def _foothold(
    count: np.ndarray, side: int, sideways: float, style: MotionStyle, gait: Gait
) -> tuple[np.ndarray, np.ndarray]:
    """Where the ball of a foot stands in its `count`-th cycle, [T, 2], and its yaw [T]."""
    plant_time = gait.period * (count - style.phase - 0.5 * side)
    # The body passes over the foot a little before the middle of the contact: the leg pushes longer than it brakes.
    passing = gait.speed * (plant_time + 0.47 * gait.duty * gait.period)
    position, heading = _arc(passing, style.curvature)
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    left = np.stack([-np.sin(heading), np.cos(heading)], axis=-1)
    return position + sideways * left + 0.10 * ahead, heading


def _arc(length: np.ndarray, curvature: float) -> tuple[np.ndarray, np.ndarray]:
    """Point [T, 2] and heading [T] after `length` metres on an arc that starts at the origin along x."""
    heading = curvature * length
    if abs(curvature) < 1e-6:
        return np.stack([length, np.zeros_like(length)], axis=-1), heading
    return np.stack([np.sin(heading), 1 - np.cos(heading)], axis=-1) / curvature, heading
