"""DiffPose and its parts against what they are built upon: time, the generative head, steps and hypotheses."""

from mmpose_diffusion.engine import load_config

_base_ = ['./two_worlds.py']

heatmap_head = load_config('key_frame_tiny_synthetic').model.head.to_dict()
diffpose = load_config('diffpose_tiny_synthetic').to_dict()
# Models with neighbours learn as DiffPose does: a heatmap head on the key frame's own map also teaches the backbone, in
# which only the key frame's pass has gradient.
as_diffpose = {f'model.{name}': diffpose['model'][name] for name in ('gradient_frames', 'aux_losses')}
longer = 5  # epochs in which a single frame takes the time of two epochs of DiffPose

models = {
    'single frame': dict(config='key_frame_tiny_synthetic'),
    'single frame, same time': dict(
        config='key_frame_tiny_synthetic', options={'train_cfg.max_epochs': longer, 'param_scheduler.1.end': longer}
    ),
    'fusion neck': dict(config='support_fusion_tiny_synthetic', options=as_diffpose),
    'STRL': dict(config='diffpose_tiny_synthetic', options={'model.head': dict(heatmap_head, _delete_=True)}),
    'DiffPose': dict(config='diffpose_tiny_synthetic'),
    'direct fusion': dict(config='diffpose_tiny_synthetic', options={'model.head.denoiser.fusion': 'direct'}),
    'strong signal': dict(config='diffpose_tiny_synthetic', options={'model.head.signal.scale': 1.0}),
}


def sampling(steps: int | list[int], hypotheses: int, neighbours: str = 'true', scheduler: dict | None = None) -> dict:
    """Test settings of a diffusion head; from three hypotheses on their spread says something and is scored."""
    options = {
        'model.test_cfg.num_steps': steps,
        'model.test_cfg.num_hypotheses': hypotheses,
        'test_dataloader.dataset.pipeline.0.neighbours': neighbours,
        **({'model.head.scheduler': scheduler} if scheduler else {}),
    }
    if hypotheses < 3:
        return dict(test_options=options)
    options['model.test_cfg.output_hypotheses'] = True
    return dict(test_options=options, metrics=[dict(type='UncertaintyCalibration')])


reference = 'single frame'
rows = [
    dict(name=reference, model='single frame'),
    dict(name='single frame, as long as DiffPose', model='single frame, same time'),
    dict(name='fusion neck', model='fusion neck'),
    dict(name='STRL, heatmap head', model='STRL'),
    *(
        dict(name=f'DiffPose, {steps} x {hypotheses}', model='DiffPose', **sampling(steps, hypotheses))
        for steps in (1, 2, 4, 8)
        for hypotheses in (1, 5, 10)
    ),
    dict(name='direct fusion, 4 x 5', model='direct fusion', **sampling(4, 5)),
    # Do steps and hypotheses do more where the noisy heatmaps say more, and what does the solver add?
    *(
        dict(name=f'signal scale 1, {steps} x {hypotheses}', model='strong signal', **sampling(steps, hypotheses))
        for steps, hypotheses in ((1, 1), (4, 1), (4, 10))
    ),
    dict(name='DiffPose, 4 noisy steps x 1', model='DiffPose', **sampling([999, 900, 800, 700], 1)),
    dict(
        name='DiffPose, 4 x 1, fresh noise in each step',
        model='DiffPose',
        **sampling(4, 1, scheduler=dict(type='DDIMScheduler', prediction_type='sample', eta=1.0)),
    ),
    # Does the model use time? The same weights without neighbours, and with neighbours in the wrong places.
    dict(name='DiffPose, 4 x 5, key frame repeated', model='DiffPose', **sampling(4, 5, neighbours='repeated')),
    dict(name='DiffPose, 4 x 5, neighbours shuffled', model='DiffPose', **sampling(4, 5, neighbours='shuffled')),
]
# The subset 'annotated' is all joints by the rules of the other subsets: what they are to be compared with.
metrics = [
    dict(type='PoseTrackSubsetAP', subset=subset, ann_dir='annotations/val', data_root='{world}/')
    for subset in ('annotated', 'occluded', 'blurred')
]
columns = {
    'AP': 'posetrack/Mean AP',
    'AP, all in own box': 'posetrack_annotated/Mean AP',
    'occluded': 'posetrack_occluded/Mean AP',
    'blurred': 'posetrack_blurred/Mean AP',
    '90 % ellipse holds': 'calibration/predictive_coverage_90',
    'calibration error': 'calibration/predictive_calibration_error',
    'without spread': 'calibration/no_spread',
}
