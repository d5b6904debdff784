"""FAMI-Pose and SimCC-Pose, part by part: alignment, mutual information, coordinates as classes."""

from mmpose_diffusion.engine import load_config

_base_ = ['./two_worlds.py']

no_mutual_information = {'model.aux_losses': []}
stages = {
    'no alignment': {'model.temporal_neck.transformation': None, 'model.temporal_neck.num_calibration_layers': 0},
    'global alignment': {'model.temporal_neck.num_calibration_layers': 0},
    'local alignment': {'model.temporal_neck.transformation': None},
    'both alignments': {},
}
term_weights = load_config('fami_pose_tiny_synthetic').model.aux_losses[0].weights.to_dict()


def split_factor(factor: int) -> dict:
    """Options for so many bins per pixel; labels keep their width in pixels."""
    config = load_config('simcc_pose_tiny_synthetic')
    pipeline = [step.type for step in config.train_dataloader.dataset.pipeline]
    sigma = config.simcc.sigma * factor / config.simcc.simcc_split_ratio
    labels = {'simcc_split_ratio': float(factor), 'sigma': sigma}
    encoder = f'train_dataloader.dataset.pipeline.{pipeline.index("GenerateTarget")}.encoder.simcc'
    return {'model.head.decoder.simcc': labels, encoder: labels, **no_mutual_information}


models = {
    **{
        name: dict(config='fami_pose_tiny_synthetic', options={**options, **no_mutual_information})
        for name, options in stages.items()
    },
    'all terms': dict(config='fami_pose_tiny_synthetic'),
    **{
        term: dict(
            config='fami_pose_tiny_synthetic', options={'model.aux_losses.0.weights': {'_delete_': True, term: weight}}
        )
        for term, weight in term_weights.items()
    },
    **{f'k = {k}': dict(config='simcc_pose_tiny_synthetic', options=split_factor(k)) for k in (1, 2, 3)},
}
rows = [
    *(dict(name=name, model=name) for name in stages),
    *(dict(name=f'both, mutual information: {name}', model=name) for name in ('all terms', *term_weights)),
    *(
        dict(name=f'SimCC-Pose, k = {k}: {decode}', model=f'k = {k}', test_options={'model.test_cfg.decode': decode})
        for k in (1, 2, 3)
        for decode in ('heatmap', 'simcc', 'fusion')
    ),
]
reference = 'both alignments'
metrics = [
    dict(type='PoseTrackSubsetAP', subset='fast', ann_dir='annotations/val', data_root='{world}/'),
    dict(type='KeypointError'),
    dict(type='KeypointError', subset='fast'),
]
columns = {
    'AP': 'posetrack/Mean AP',
    'AP, fast': 'posetrack_fast/Mean AP',
    'hits': 'keypoint_error/close_share',
    'error of hits, px': 'keypoint_error/close_mean_px',
    'of fast hits, px': 'keypoint_error_fast/close_mean_px',
}
