"""Errors of several hypotheses of 3D motion: what can be had without the truth, and oracles.

`p_agg`, `j_agg` and `j_agg_estimated_root` are results. What ends in `_oracle` or `_oracle_batch` chooses hypotheses by
their distance to the ground truth, to tell how good the hypotheses could be if they were chosen perfectly: no rule that
chooses in the same way, one for each clip or one for each joint, has a smaller error. Averages are not bound by it: the
mean of hypotheses on both sides of the truth is nearer to it than any of them. The numbers that D3DP and FinePOSE call
J-Best and P-Best are such oracles.
"""

import numpy as np

from .camera_projection import project, undistort
from .pose3d_errors import joint_errors

OFF_SCREEN = 10.0  # normalised screen coordinates run from -1 to 1; pixels are far beyond this


def multi_hypothesis_errors(
    hypotheses: np.ndarray,
    target: np.ndarray,
    keypoints_2d: np.ndarray | None = None,
    camera: np.ndarray | None = None,
    root: np.ndarray | None = None,
    valid: np.ndarray | None = None,
) -> dict[str, float]:
    """Mean joint errors of hypotheses, under each rule of making one pose of several.

    `j_best_oracle <= p_best_oracle <= p_best_oracle_batch`; of a single hypothesis all are equal.

    Args:
        hypotheses: [B, H, T, J, 3] of B clips, root-relative.
        target: [B, T, J, 3], root-relative, in the same unit, which is that of the errors.
        keypoints_2d: [B, T, J, 2] the 2D input, in normalised screen coordinates; pixels are refused.
        camera: [B, 9] of each clip, see `camera_projection`.
        root: [B, T, 1, 3] true places of the root in camera axes, in the same unit.
        valid: [B, T] bool, frames that count; all by default. What the others hold does not matter, be it NaN.

    Returns:
        p_agg: of the mean of the hypotheses.
        j_agg: of the pose made of those joints whose projections are nearest to the 2D input (D3DP's JPMA). This takes
            the true place of the root. Only with `keypoints_2d`, `camera` and `root`.
        j_agg_estimated_root: the same with the place of the root estimated from the 2D input, for each hypothesis and
            frame (`estimate_root`): nothing true is used. Only with `keypoints_2d` and `camera`.
        p_best_oracle: of the hypothesis of each clip with the smallest error.
        p_best_oracle_batch: of the one hypothesis number with the smallest error over all B clips: what the code of
            D3DP and FinePOSE computes. It depends on how clips are put into batches.
        j_best_oracle: of the pose made of those joints of all hypotheses that are nearest to the truth.
    """
    if valid is None:
        valid = np.ones(np.shape(target)[:2], dtype=bool)
    valid = np.asarray(valid, dtype=bool)
    if not valid.any():
        raise ValueError('no frame is valid: there is nothing to take the mean of')
    errors = hypothesis_frame_errors(hypotheses, target, keypoints_2d, camera, root, valid)
    return {name: float(values[valid].mean()) for name, values in errors.items()}


def hypothesis_frame_errors(
    hypotheses: np.ndarray,
    target: np.ndarray,
    keypoints_2d: np.ndarray | None,
    camera: np.ndarray | None,
    root: np.ndarray | None,
    valid: np.ndarray,
) -> dict[str, np.ndarray]:
    """As `multi_hypothesis_errors`, for each frame: [B, T]. What frames are valid matters for the choice of P-Best."""
    arrays = dict(hypotheses=hypotheses, target=target, keypoints_2d=keypoints_2d, camera=camera, root=root)
    hypotheses, target, keypoints_2d, camera, root = _checked_float64(arrays, valid)
    errors = joint_errors(hypotheses, target[:, None])  # [B, H, T, J]
    clip_errors = np.sum(errors.mean(axis=-1), axis=-1, where=valid[:, None])  # [B, H]
    batch_choice = np.full(len(errors), clip_errors.sum(axis=0).argmin())
    clips = np.arange(len(errors))
    result = {
        'p_agg': joint_errors(hypotheses.mean(axis=1), target),
        'p_best_oracle': errors[clips, clip_errors.argmin(axis=1)],
        'p_best_oracle_batch': errors[clips, batch_choice],
        'j_best_oracle': errors.min(axis=1),
    }
    if keypoints_2d is not None and camera is not None:
        roots = {'j_agg_estimated_root': estimate_root(hypotheses, keypoints_2d[:, None], camera[:, None])}
        if root is not None:
            roots['j_agg'] = root[:, None]
        for name, place in roots.items():
            choice = nearest_projections(hypotheses + place, keypoints_2d, camera)  # [B, T, J]
            result[name] = np.take_along_axis(errors, choice[:, None], axis=1)[:, 0]
    return {name: values.mean(axis=-1) for name, values in result.items()}


def nearest_projections(points: np.ndarray, keypoints_2d: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Number of the hypothesis whose projection is nearest to the 2D input, for each joint: [B, T, J].

    Args:
        points: [B, H, T, J, 3] in camera axes.
        keypoints_2d: [B, T, J, 2].
        camera: [B, 9].
    """
    seen = project(points, camera[:, None, None, None])
    return np.linalg.norm(seen - keypoints_2d[:, None], axis=-1).argmin(axis=1)


def estimate_root(poses: np.ndarray, keypoints_2d: np.ndarray, camera: np.ndarray, refinements: int = 2) -> np.ndarray:
    """Where the root of root-relative poses is, [..., T, 1, 3], judged by the 2D input alone.

    With rays u = (x/z, y/z) of the undistorted 2D points, a root r that explains them has (X + r)_xy = u (X + r)_z for
    each joint X: linear in r, solved by least squares in closed form. Each residual is the error on the screen times
    the depth of the joint; so the solution is refined with the joints weighted by their inverse squared depth. No joint
    is put nearer to the camera than the pose is large, which only poses far from the 2D input would ask for.

    Args:
        poses: [..., T, J, 3].
        keypoints_2d: [..., T, J, 2].
        camera: [..., 9], one for all T frames.
        refinements: how often depths are taken from the last solution.
    """
    rays = undistort(keypoints_2d, camera[..., None, None, :])
    offsets = rays * poses[..., 2:] - poses[..., :2]  # r_xy - u r_z is to be this
    size = np.linalg.norm(poses, axis=-1, keepdims=True).max(axis=-2, keepdims=True)
    nearest = size - poses[..., 2:].min(axis=-2, keepdims=True)
    weights = np.ones_like(poses[..., :1])  # [..., T, J, 1]
    for refinement in range(refinements + 1):
        weights = weights / weights.sum(axis=-2, keepdims=True)
        mean_ray = np.sum(weights * rays, axis=-2, keepdims=True)
        mean_offset = np.sum(weights * offsets, axis=-2, keepdims=True)
        ray, offset = rays - mean_ray, offsets - mean_offset
        covariance = np.sum(weights * ray * offset, axis=(-1, -2), keepdims=True)
        variance = np.sum(weights * ray**2, axis=(-1, -2), keepdims=True)
        depth = np.maximum(-covariance / np.maximum(variance, np.finfo(np.float64).tiny), nearest)
        depth = np.where(np.isfinite(depth) & (depth > 0), depth, 1.0)  # everything in one place: any depth will do
        if refinement < refinements:
            weights = 1 / (poses[..., 2:] + depth) ** 2
    return np.concatenate([mean_offset + mean_ray * depth, depth], axis=-1)


def _checked_float64(arrays: dict[str, np.ndarray | None], valid: np.ndarray) -> list[np.ndarray | None]:
    """The arrays as float64; refuse shapes that do not fit, valid frames that are not finite, and pixels."""
    arrays = {name: None if value is None else np.asarray(value, dtype=np.float64) for name, value in arrays.items()}
    hypotheses, target = arrays['hypotheses'], arrays['target']
    if hypotheses.ndim != 5 or target.shape != hypotheses.shape[:1] + hypotheses.shape[2:] or target.shape[-1] != 3:
        raise ValueError(
            f'expected hypotheses [B, H, T, J, 3] and target [B, T, J, 3], got {hypotheses.shape} and {target.shape}'
        )
    clips, frames, joints = target.shape[:3]
    shapes = {
        'keypoints_2d': (clips, frames, joints, 2),
        'camera': (clips, 9),
        'root': (clips, frames, 1, 3),
        'valid': (clips, frames),
    }
    for name, shape in shapes.items():
        value = valid if name == 'valid' else arrays[name]
        if value is not None and value.shape != shape:
            raise ValueError(f'expected {name} {shape}, got {value.shape}')
    for name, value in arrays.items():
        if value is None:
            continue
        if name == 'hypotheses':
            value = value.swapaxes(1, 2)
        finite = np.isfinite(value.reshape(clips, 1 if name == 'camera' else frames, -1)).all(axis=-1)  # [B, T or 1]
        if not (finite | ~valid).all():
            clip, frame = np.argwhere(valid & ~finite)[0]
            raise ValueError(
                f'{name} of clip {clip}, frame {frame}, which is valid, holds NaN or infinity: mark such frames as not '
                'valid; a model whose hypotheses are not finite may have diverged'
            )
    keypoints_2d = arrays['keypoints_2d']
    if keypoints_2d is not None and (size := np.median(np.abs(keypoints_2d[valid]))) > OFF_SCREEN:
        raise ValueError(
            f'keypoints_2d, with a median of {size:.0f}, look like pixels: give normalised screen coordinates, see '
            'camera_projection.normalise_points'
        )
    camera = arrays['camera']
    if camera is not None and (size := np.median(np.abs(camera[valid.any(axis=1), 2:4]))) > OFF_SCREEN:
        raise ValueError(
            f'camera, with a centre around {size:.0f}, looks like one in pixels: give focal length and centre as '
            'camera_projection.normalise_points gives points, in units of half the image width'
        )
    return list(arrays.values())
