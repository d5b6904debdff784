"""What makes two performances of one action differ, and the poses that all actions start from."""

from dataclasses import dataclass

import numpy as np

from .kinematics import MotionCurves
from .skeleton import Body


@dataclass(frozen=True)
class MotionStyle:
    """How a person performs: speed, size, start within the cycle, leading side (0 left, 1 right), bend of the path."""

    tempo: float = 1.0
    amplitude: float = 1.0
    phase: float = 0.0
    leading: int = 1
    curvature: float = 0.0


def random_style(generator: np.random.Generator) -> MotionStyle:
    """A way of moving of its own; the curvature (1/m) bends the path of walkers and runners."""
    return MotionStyle(
        tempo=float(generator.uniform(0.85, 1.2)),
        amplitude=float(generator.uniform(0.85, 1.08)),
        phase=float(generator.uniform()),
        leading=int(generator.integers(2)),
        curvature=float(generator.uniform(-0.35, 0.35)),
    )


def degrees(angle: float | np.ndarray) -> float | np.ndarray:
    """Degrees -> radians."""
    return np.radians(angle)


def relaxed_arms(times: np.ndarray) -> np.ndarray:
    """Arms hanging a little away from the body with soft elbows, [T, 2, 4]."""
    arms = np.zeros((len(times), 2, 4))
    arms[..., 0] = degrees(55)
    arms[..., 1] = degrees(11) + degrees(1.5) * np.sin(1.7 * times)[:, None]
    arms[..., 3] = degrees(14)
    return arms


def swing_arm(arm: np.ndarray, forward: np.ndarray, outward: float = 9.0) -> None:
    """Set plane and elevation of an arm [T, 4] so that it points `forward` (radians, negative is backward) of hanging.

    `outward` degrees keep it clear of the body, also behind the back.
    """
    ahead, aside = np.sin(forward), np.full_like(forward, np.sin(degrees(outward)))
    arm[:, 0] = np.arctan2(aside, ahead)
    raised = np.arcsin(np.clip(np.hypot(ahead, aside), 0, 1))
    arm[:, 1] = np.where(np.cos(forward) >= 0, raised, np.pi - raised)


def still_curves(times: np.ndarray, body: Body, width: float = 1.0, toe_out: float = 8.0) -> MotionCurves:
    """Quiet standing at the origin, facing x; feet `width` hip widths apart, turned out by `toe_out` degrees."""
    count = len(times)
    root = np.zeros((count, 3))
    root[:, 2] = body.ankle_height + 0.985 * body.leg
    root[:, 0] = 0.008 * np.sin(0.9 * times)
    root[:, 1] = 0.012 * np.sin(0.7 * times)
    balls = np.zeros((count, 2, 3))
    yaw = np.array([1.0, -1.0]) * degrees(toe_out)
    for side, sign in ((0, 1), (1, -1)):
        balls[:, side, 0] = body.ball_offset[0] * np.cos(yaw[side]) - 0.02
        balls[:, side, 1] = sign * width * body.hip_half_width + body.ball_offset[0] * np.sin(yaw[side])
    head = np.zeros((count, 3))
    head[:, 0] = degrees(9) * np.sin(0.8 * times)
    head[:, 1] = degrees(3)
    return MotionCurves(
        root=root, root_angles=np.zeros((count, 3)), spine=np.zeros((count, 3)), head=head,
        arms=relaxed_arms(times), balls=balls, foot_yaw=np.tile(yaw, (count, 1)),
        foot_pitch=np.zeros((count, 2)), contact=np.ones((count, 2), dtype=bool),
    )  # fmt: skip
