"""Actions on the spot whose feet stay on the ground: arms and trunk do the work."""

import numpy as np

from .kinematics import MotionCurves
from .rotations import keyed
from .skeleton import Body
from .style import MotionStyle, degrees, still_curves


def waving(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Greet with one raised arm, the forearm swinging from side to side."""
    curves = still_curves(times, body, width=1.3)
    beat = np.sin(2 * np.pi * (1.7 * style.tempo * times + style.phase))
    arm = curves.arms[:, style.leading]
    arm[:, 0] = degrees(78)
    arm[:, 1] = degrees(112) + degrees(6) * beat
    arm[:, 2] = degrees(88)
    arm[:, 3] = degrees(52) + degrees(30) * style.amplitude * beat
    sign = 1 if style.leading == 0 else -1
    curves.spine[:, 2] = sign * degrees(4 + 2 * beat)
    curves.head[:, 2] = -sign * degrees(6)
    return curves


def boxing(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Straight punches left and right out of a guarded, bouncing fighting stance."""
    curves = still_curves(times, body, width=1.5, toe_out=20)
    back = style.leading
    curves.balls[:, back, 0] -= 0.2
    curves.balls[:, 1 - back, 0] += 0.14
    phase = 1.05 * style.tempo * times + style.phase
    curves.root[:, 2] -= body.leg * (0.07 + 0.015 * np.sin(4 * np.pi * phase))
    curves.root_angles[:, 0] = (-1 if back == 1 else 1) * degrees(22)
    curves.spine[:, 1] = degrees(8)
    for side, sign in ((0, 1), (1, -1)):
        punch = keyed(phase + 0.5 * side, [(0, 0), (0.16, 1), (0.34, 0)])
        curves.arms[:, side, 0] = degrees(14) - degrees(14) * punch
        curves.arms[:, side, 1] = degrees(38) + degrees(50) * punch
        curves.arms[:, side, 2] = degrees(-18) * (1 - punch)
        curves.arms[:, side, 3] = degrees(136) - degrees(124) * style.amplitude * punch
        curves.spine[:, 0] -= sign * degrees(26) * punch
        curves.foot_pitch[:, side] = degrees(22 if side == back else 3)
    return curves


def throwing(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Wind up with one arm behind the head, then hurl forward with a turn of the trunk."""
    curves = still_curves(times, body, width=1.7, toe_out=14)
    side = style.leading
    sign = 1 if side == 0 else -1
    curves.balls[:, side, 0] -= 0.22
    curves.balls[:, 1 - side, 0] += 0.22
    phase = 0.48 * style.tempo * times + style.phase
    size = style.amplitude

    def key(rest: float, wound: float, release: float, through: float) -> np.ndarray:
        return keyed(phase, [(0, rest), (0.36, wound), (0.44, wound), (0.53, release), (0.62, through), (0.7, through)])

    arm, other = curves.arms[:, side], curves.arms[:, 1 - side]
    arm[:, 0] = degrees(1) * key(50, 110, 35, -15)
    arm[:, 1] = degrees(1) * key(15, 98, 128, 45)
    arm[:, 2] = degrees(1) * key(0, 95, 50, -10)
    arm[:, 3] = degrees(1) * key(20, 105, 22, 15)
    other[:, 0] = degrees(1) * key(50, 15, 60, 80)
    other[:, 1] = degrees(1) * key(12, 80, 35, 20)
    curves.spine[:, 0] = sign * degrees(size) * key(0, 36, -14, -34)
    curves.spine[:, 1] = degrees(size) * key(0, -10, 12, 30)
    curves.root_angles[:, 0] = sign * degrees(1) * key(8, 24, 0, -12)
    curves.root[:, 0] += key(0, -0.13, 0.1, 0.14)
    curves.root[:, 2] -= key(0, 0.03, 0.03, 0.07)
    curves.foot_pitch[:, side] = degrees(1) * key(0, 0, 30, 48)
    return curves


def stretching(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Bend to the left and right with arms over the head."""
    curves = still_curves(times, body, width=2.0, toe_out=14)
    lean = np.sin(2 * np.pi * (0.4 * style.tempo * times + style.phase)) * style.amplitude
    curves.spine[:, 2] = degrees(30) * lean
    curves.root_angles[:, 2] = degrees(7) * lean
    curves.root[:, 1] += 0.07 * lean
    curves.head[:, 2] = degrees(10) * lean
    for side, sign in ((0, 1), (1, -1)):
        over = 0.5 + 0.5 * sign * lean  # a bend to the right is led by the left arm
        curves.arms[:, side, 0] = degrees(88)
        curves.arms[:, side, 1] = degrees(45) + degrees(125) * over
        curves.arms[:, side, 2] = degrees(60) * (1 - over)
        curves.arms[:, side, 3] = degrees(75) - degrees(50) * over
    return curves


def squatting(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Knee bends with the arms stretched forward."""
    curves = still_curves(times, body, width=1.7, toe_out=20)
    down = keyed(0.5 * style.tempo * times + style.phase, [(0, 0), (0.12, 0), (0.48, 1), (0.58, 1)]) * style.amplitude
    curves.root[:, 2] -= 0.46 * body.leg * down
    curves.root[:, 0] -= 0.17 * body.leg * down
    curves.root_angles[:, 1] = degrees(24) * down
    curves.spine[:, 1] = degrees(22) * down
    curves.head[:, 1] = degrees(-30) * down
    curves.arms[..., 0] = degrees(30) * (1 - down)[:, None]
    curves.arms[..., 1] = degrees(10) + degrees(112) * down[:, None]
    curves.arms[..., 3] = degrees(14) * (1 - 0.6 * down)[:, None]
    return curves


def sitting_down(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Sit down, lean back with the hands on the thighs, and stand up again."""
    curves = still_curves(times, body, width=1.2, toe_out=6)
    phase = 0.24 * style.tempo * times + style.phase
    seated = keyed(phase, [(0, 0), (0.08, 0), (0.34, 1), (0.74, 1)])
    bending = keyed(phase, [(0.02, 0), (0.22, 1), (0.36, 0), (0.72, 0), (0.84, 1)])
    seat_height = body.ankle_height + body.shin + 0.05
    curves.root[:, 2] += (seat_height - curves.root[:, 2]) * seated
    curves.root[:, 0] -= 0.9 * body.thigh * seated
    curves.root_angles[:, 1] = degrees(25) * bending - degrees(8) * seated
    curves.spine[:, 1] = degrees(28) * bending
    curves.head[:, 1] = degrees(-22) * bending
    curves.arms[..., 0] = (degrees(55) - degrees(50) * seated)[:, None]
    curves.arms[..., 1] = (degrees(11) + degrees(14) * seated + degrees(30) * bending)[:, None]
    curves.arms[..., 3] = (degrees(14) + degrees(26) * seated)[:, None]
    return curves
