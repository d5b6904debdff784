"""Actions on the spot in which the feet leave the ground."""

import numpy as np

from .kinematics import MotionCurves
from .rotations import keyed, smooth_step
from .skeleton import Body
from .style import MotionStyle, degrees, still_curves, swing_arm


def jumping(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Crouch with the arms swung back, jump with the arms up, land softly."""
    curves = still_curves(times, body, width=1.3)
    period = 1.45 / style.tempo
    phase = times / period + style.phase
    share = phase % 1.0
    take_off, landing = 0.42, 0.74
    flight = np.clip((share - take_off) / (landing - take_off), 0, 1)
    rise = 0.3 * body.leg * style.amplitude * 4 * flight * (1 - flight)
    crouch = keyed(phase, [(0, 0.1), (0.28, 1), (take_off, 0), (landing, 0.05), (0.84, 0.75)])
    curves.root[:, 2] += rise - 0.3 * body.leg * crouch
    curves.root[:, 0] -= 0.07 * crouch
    curves.root_angles[:, 1] = degrees(24) * crouch
    curves.spine[:, 1] = degrees(26) * crouch
    airborne = (share > take_off) & (share < landing)
    curves.contact[:] = ~airborne[:, None]
    curves.balls[..., 2] = (0.95 * rise)[:, None]
    heel = keyed(phase, [(0, 0), (0.33, 0), (take_off, 1), (0.5, 0.8), (landing, 0.25), (0.8, 0)])
    curves.foot_pitch[:] = degrees(42) * heel[:, None]
    curves.root[:, 2] += _heel_rise(curves, body)
    up = keyed(phase, [(0, 0), (0.22, -0.8), (0.52, 2.9), (0.6, 2.8), (0.9, -0.4)])
    for side in (0, 1):
        swing_arm(curves.arms[:, side], degrees(8) + degrees(46) * up)
    curves.arms[..., 3] = degrees(24)
    return curves


def jumping_jacks(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Hop between feet together with arms down and feet apart with arms up."""
    curves = still_curves(times, body, width=0.8)
    phase = 0.95 * style.tempo * times + style.phase
    share = phase % 1.0
    hops = [(0.08, 0.34), (0.58, 0.84)]
    hop = sum(np.sin(np.pi * np.clip((share - start) / (end - start), 0, 1)) for start, end in hops)
    apart = smooth_step((share - 0.08) / 0.26) - smooth_step((share - 0.58) / 0.26)
    curves.contact[:] = (hop < 1e-9)[:, None]
    height = 0.09 * body.leg * hop
    curves.root[:, 2] += height - body.leg * (0.02 + 0.04 * (1 - np.minimum(hop, 1)) * np.sin(4 * np.pi * phase) ** 2)
    curves.balls[..., 2] = 0.95 * height[:, None]
    curves.foot_pitch[:] = degrees(28) * np.minimum(hop, 1)[:, None]
    curves.root[:, 2] += _heel_rise(curves, body)
    for side, sign in ((0, 1), (1, -1)):
        curves.balls[:, side, 1] += sign * 0.26 * body.leg * style.amplitude * apart
        curves.arms[:, side, 0] = degrees(85)
        curves.arms[:, side, 1] = degrees(12) + degrees(150) * apart
        curves.arms[:, side, 2] = degrees(30) * apart
        curves.arms[:, side, 3] = degrees(12) + degrees(22) * apart
    return curves


def kicking(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Swing one leg back, kick high to the front, put it down again."""
    curves = still_curves(times, body, width=1.0)
    side = style.leading
    sign = 1 if side == 0 else -1
    phase = 0.62 * style.tempo * times + style.phase
    size = style.amplitude
    lift = keyed(phase, [(0, 0), (0.1, 0), (0.3, 0.16), (0.5, 0.72 * size), (0.58, 0.66 * size), (0.8, 0)])
    ahead = keyed(phase, [(0, 0), (0.1, 0), (0.3, -0.42), (0.5, 0.78), (0.58, 0.72), (0.8, 0)])
    curves.balls[:, side, 0] += body.leg * ahead
    curves.balls[:, side, 2] = body.leg * lift
    curves.contact[:, side] = (lift < 1e-9) & (np.abs(ahead) < 1e-9)
    toes = keyed(phase, [(0, 0), (0.1, 0), (0.3, 65), (0.5, -32), (0.6, -20), (0.8, 0)])
    curves.foot_pitch[:, side] = degrees(toes)
    weight = keyed(phase, [(0, 0), (0.12, 1), (0.7, 1), (0.84, 0)])
    curves.root[:, 1] -= sign * body.hip_half_width * 0.8 * weight
    curves.root[:, 2] -= 0.02 * body.leg
    kick = keyed(phase, [(0.1, 0), (0.3, -0.6), (0.5, 1), (0.8, 0)])
    curves.root_angles[:, 1] = degrees(-13) * kick
    curves.spine[:, 1] = degrees(12) * kick
    curves.spine[:, 0] = sign * degrees(-16) * kick
    for arm, swing in ((side, -kick), (1 - side, kick)):
        curves.arms[:, arm, 0] = degrees(62)
        curves.arms[:, arm, 1] = degrees(34) + degrees(26) * swing
        curves.arms[:, arm, 3] = degrees(38)
    return curves


def dancing(times: np.ndarray, body: Body, style: MotionStyle) -> MotionCurves:
    """Step from side to side with swinging hips and arms in the air."""
    curves = still_curves(times, body, width=1.4, toe_out=12)
    phase = 0.85 * style.tempo * times + style.phase
    sway = np.sin(2 * np.pi * phase) * style.amplitude
    curves.root[:, 1] += 0.13 * body.leg * sway
    curves.root[:, 2] -= body.leg * (0.045 + 0.03 * np.cos(4 * np.pi * phase))
    curves.root_angles[:, 2] = degrees(10) * sway
    curves.root_angles[:, 0] = degrees(14) * np.sin(2 * np.pi * phase + 0.8)
    curves.spine[:, 2] = degrees(-17) * sway
    curves.spine[:, 0] = degrees(-20) * np.sin(2 * np.pi * phase + 0.8)
    curves.head[:, 2] = degrees(11) * sway
    for side, sign in ((0, 1), (1, -1)):
        # The foot without weight taps beside the other one.
        tap = keyed(phase + 0.5 * (side == 0), [(0, 0), (0.12, 0), (0.3, 1), (0.46, 0)])
        curves.balls[:, side, 2] = 0.11 * body.leg * tap
        curves.balls[:, side, 1] -= sign * 0.1 * body.leg * tap
        curves.contact[:, side] = tap < 1e-9
        curves.foot_pitch[:, side] = degrees(38) * tap
        wave = np.sin(2 * np.pi * phase + (0 if side == 0 else 2.2))
        curves.arms[:, side, 0] = degrees(72) + degrees(16) * wave
        curves.arms[:, side, 1] = degrees(98) + degrees(42) * wave
        curves.arms[:, side, 2] = degrees(72)
        curves.arms[:, side, 3] = degrees(62) - degrees(34) * wave
    return curves


def _heel_rise(curves: MotionCurves, body: Body) -> np.ndarray:
    """How much higher a body stands on its toes, [T] metres."""
    return body.ball_offset[0] * np.sin(curves.foot_pitch.mean(axis=1))
