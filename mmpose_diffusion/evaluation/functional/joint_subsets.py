"""Joints that are hard for a reason: hidden, blurred, fast. Known of synthetic videos, see docs/synthetic_world.md."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .json_values import numbers

VISIBLE, OWN_BODY, OTHER_PERSON, THING, OUTSIDE = range(5)  # as in datasets/synthetic/visibility.py
MARKED = (VISIBLE, OWN_BODY)  # what annotators mark
HIDDEN = (OWN_BODY, OTHER_PERSON, THING)

ANNOTATED = 'annotated'
SUBSETS = (ANNOTATED, 'occluded', 'blurred', 'hard_to_see', 'fast')


class JointFacts(NamedTuple):
    """What is known of the K joints of one person, or of several people [..., K]."""

    keypoints: np.ndarray  # [..., K, 2] exact positions in pixels, also of hidden joints
    occlusion: np.ndarray  # [..., K] one of the reasons above
    blur: np.ndarray  # [..., K] pixels that the joint moves while the shutter is open; 0 where nothing is blurred
    speed: np.ndarray  # [..., K] pixels per frame


class SubsetRule(NamedTuple):
    """Which joints belong to a subset. Only joints inside the picture do.

    - `annotated`: the joints that are annotated; the only subset that needs no `JointFacts`
    - `occluded`: hidden by the own body, by another person or by a thing. Of these only the first are annotated
    - `blurred`: annotated, and smeared over `blur_thr` head sizes or more
    - `hard_to_see`: occluded or blurred
    - `fast`: annotated, and moving by `fast_thr` head sizes per frame or more: where it was in the frame before is
      then no hit
    """

    name: str
    blur_thr: float = 0.25
    fast_thr: float = 0.5

    @property
    def needs_facts(self) -> bool:
        """Whether annotations must say what only a synthetic world knows."""
        return self.name != ANNOTATED

    def select(self, facts: JointFacts, head_sizes: np.ndarray) -> np.ndarray:
        """The joints of a subset that needs facts, bool [..., K], of people with head sizes [...] in pixels."""
        is_marked = np.isin(facts.occlusion, MARKED)
        is_hidden = np.isin(facts.occlusion, HIDDEN)
        sizes = np.asarray(head_sizes)[..., None]
        is_blurred = is_marked & (facts.blur > 0) & (facts.blur >= self.blur_thr * sizes)
        return {
            'occluded': is_hidden,
            'blurred': is_blurred,
            'hard_to_see': is_hidden | is_blurred,
            'fast': is_marked & (facts.speed >= self.fast_thr * sizes),
        }[self.name]


def check_rule(name: str, blur_thr: float, fast_thr: float) -> SubsetRule:
    """The rule of that name, if there is one."""
    if name not in SUBSETS:
        raise ValueError(f'subset must be one of {SUBSETS}, got {name!r}')
    if not (blur_thr > 0 and fast_thr > 0):
        raise ValueError(f'thresholds must be above 0 head sizes, got blur_thr={blur_thr} and fast_thr={fast_thr}')
    return SubsetRule(name, blur_thr, fast_thr)


def read_joint_facts(annotation: Mapping[str, Any], label: str) -> JointFacts:
    """The facts under the key `synthetic` of an annotation, K joints in the order of its file.

    Args:
        annotation: an entry of an annotation file, or the `raw_ann_info` of a sample.
        label: what error messages call it, file included.
    """
    known = annotation.get('synthetic')
    if not isinstance(known, Mapping):
        raise ValueError(
            f'{label} has no key synthetic, so nobody knows which of its joints are hidden, blurred or fast. Only the '
            "videos of tools/dataset_tools/make_synthetic.py say it; on others use subset='annotated' or PoseTrackAP"
        )
    missing = [key for key in ('keypoints_exact', 'occlusion', 'motion', 'exposure') if key not in known]
    if missing:
        raise ValueError(
            f'{label}: its key synthetic lacks {", ".join(missing)}; an earlier version has written it. Delete the '
            'data set and make it again with tools/dataset_tools/make_synthetic.py'
        )
    motion = numbers(known['motion'], f'{label}: motion')
    exposure = float(known['exposure'])
    exact = np.asarray(known['keypoints_exact'], dtype=np.float64)
    occlusion = numbers(known['occlusion'], f'{label}: occlusion', count=len(motion))
    if exact.shape != (len(motion), 2):
        raise ValueError(f'{label}: keypoints_exact has the shape {exact.shape}, expected {(len(motion), 2)}')
    return JointFacts(
        keypoints=exact,
        occlusion=occlusion.astype(np.int64),
        blur=motion if exposure else np.zeros_like(motion),
        speed=motion / (exposure or 1.0),
    )
