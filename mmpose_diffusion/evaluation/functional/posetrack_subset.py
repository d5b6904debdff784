"""PoseTrack AP of some joints only, for predictions of which it is known whose they are."""

from collections.abc import Sequence

import numpy as np

from .posetrack_ap import NUM_JOINTS, People, PoseTrackResult, VideoPeople, evaluate_posetrack_ap, mean_without_nan


def separate_people(
    annotated: VideoPeople, predicted: People, owner: np.ndarray, in_subset: np.ndarray
) -> tuple[VideoPeople, VideoPeople]:
    """Leave only the joints of the subset, on both sides, and give every annotated person a frame of its own.

    A joint outside the subset is ignored: neither looked for, nor a false positive where it is predicted. A prediction
    meets nobody but its owner: to match people by the few joints of a subset would mix them up. Ignore regions stay.

    Args:
        annotated: P people of one video.
        predicted: Q people of the same video.
        owner: [Q] row of the annotated person to whom each prediction belongs.
        in_subset: [P, 15] bool. A joint that is in the subset but that the annotated person does not have is a false
            positive where it is predicted, as in the official evaluation.
    """
    truth, polygons = annotated.people, annotated.ignore_polygons
    rows = np.arange(len(truth.frame))
    order = np.argsort(owner, kind='stable')
    predicted, owner = predicted.select(order), owner[order]
    polygons = {row: polygons[frame] for row, frame in enumerate(truth.frame.tolist()) if frame in polygons}
    own_frames = np.ones(len(rows), dtype=bool)
    return (
        annotated._replace(
            has_people=own_frames,
            people=truth._replace(frame=rows, is_present=truth.is_present & in_subset),
            ignore_polygons=polygons,
        ),
        VideoPeople(
            name=f'predictions of {annotated.name}',
            has_people=own_frames,
            people=predicted._replace(frame=owner, is_present=predicted.is_present & in_subset[owner]),
            ignore_polygons={},
        ),
    )


def evaluate_posetrack_subset(
    videos: Sequence[tuple[VideoPeople, People, np.ndarray, np.ndarray]],
) -> PoseTrackResult:
    """AP, precision and recall of the joints of a subset, all videos pooled: the official ones of what is left.

    A class of joints of which the subset has none is NaN and left out of the mean. If the subset is everything, the
    result is that of `evaluate_posetrack_ap` wherever that one matches each prediction with its owner.

    Args:
        videos: arguments of `separate_people` for each video.
    """
    result = evaluate_posetrack_ap([separate_people(*video) for video in videos])
    is_empty = ~np.any([np.zeros(NUM_JOINTS, bool), *(in_subset.any(axis=0) for *_, in_subset in videos)], axis=0)
    columns = [np.where(is_empty, np.nan, values[:NUM_JOINTS]) for values in result]
    return PoseTrackResult(*(np.append(values, mean_without_nan(values)) for values in columns))
