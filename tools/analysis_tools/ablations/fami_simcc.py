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
# Between neighbouring frames of the tiny world most joints move by a tenth of a cell: what is there to align?
three_apart = {f'{part}_dataloader.dataset.pipeline.0.offsets': [-3, 0, 3] for part in ('train', 'test')}

simcc_pose = load_config('simcc_pose_tiny_synthetic').to_dict()
steps = [step['type'] for step in simcc_pose['train_dataloader']['dataset']['pipeline']]
codecs = ('model.head.decoder', f'train_dataloader.dataset.pipeline.{steps.index("GenerateTarget")}.encoder')
# MSRAHeatmap as it is rounds the centre of its Gaussian to a cell: how much of what classes gain is that?
unbiased = {f'{codec}.heatmap.unbiased': True for codec in codecs}


def split_factor(factor: int) -> dict:
    """Options for so many bins per pixel; labels keep their width in pixels."""
    finer = factor / simcc_pose['simcc']['simcc_split_ratio']
    labels = {'simcc_split_ratio': float(factor), 'sigma': simcc_pose['simcc']['sigma'] * finer}
    return {**{f'{codec}.simcc': labels for codec in codecs}, **no_mutual_information}


models = {
    **{
        name: dict(config='fami_pose_tiny_synthetic', options={**options, **no_mutual_information})
        for name, options in stages.items()
    },
    **{
        f'{name}, 3 frames apart': dict(
            config='fami_pose_tiny_synthetic', options={**options, **three_apart, **no_mutual_information}
        )
        for name, options in (('no alignment', stages['no alignment']), ('both', stages['both alignments']))
    },
    'all terms': dict(config='fami_pose_tiny_synthetic'),
    **{
        term: dict(
            config='fami_pose_tiny_synthetic', options={'model.aux_losses.0.weights': {'_delete_': True, term: weight}}
        )
        for term, weight in term_weights.items()
    },
    **{f'k = {k}': dict(config='simcc_pose_tiny_synthetic', options=split_factor(k)) for k in (1, 2, 3)},
    'k = 2, unbiased heatmaps': dict(config='simcc_pose_tiny_synthetic', options={**split_factor(2), **unbiased}),
}
rows = [
    *(dict(name=name, model=name) for name in (*stages, 'no alignment, 3 frames apart', 'both, 3 frames apart')),
    *(dict(name=f'both, mutual information: {name}', model=name) for name in ('all terms', *term_weights)),
    *(
        dict(name=f'SimCC-Pose, {model}: {decode}', model=model, test_options={'model.test_cfg.decode': decode})
        for model in ('k = 1', 'k = 2', 'k = 2, unbiased heatmaps', 'k = 3')
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
