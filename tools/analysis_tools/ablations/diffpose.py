"""DiffPose and its parts against what they are built upon: time, the generative head, steps and hypotheses."""

from mmpose_diffusion.engine import load_config

_base_ = ['./two_worlds.py']

heatmap_head = load_config('key_frame_tiny_synthetic').model.head.to_dict()
diffpose = load_config('diffpose_tiny_synthetic')
# What teaches DiffPose's backbone every frame of a clip; the other models that see clips get it too.
frame_loss = {
    'model.aux_losses': diffpose.to_dict()['model']['aux_losses'],
    'train_dataloader.dataset.pipeline': diffpose.to_dict()['train_dataloader']['dataset']['pipeline'],
}
models = {
    'single frame': dict(config='key_frame_tiny_synthetic'),
    'fusion neck': dict(config='support_fusion_tiny_synthetic', options=frame_loss),
    'STRL': dict(config='diffpose_tiny_synthetic', options={'model.head': dict(heatmap_head, _delete_=True)}),
    'DiffPose': dict(config='diffpose_tiny_synthetic'),
    'direct fusion': dict(config='diffpose_tiny_synthetic', options={'model.head.denoiser.fusion': 'direct'}),
    'strong signal': dict(config='diffpose_tiny_synthetic', options={'model.head.signal.scale': 1.0}),
    'no frame loss': dict(config='diffpose_tiny_synthetic', options={'model.aux_losses': []}),
}


def sampling(steps: int, hypotheses: int, neighbours: str = 'true') -> dict:
    """Test settings of a diffusion head; from three hypotheses on their spread says something and is scored."""
    options = {
        'model.test_cfg.num_steps': steps,
        'model.test_cfg.num_hypotheses': hypotheses,
        'test_dataloader.dataset.pipeline.0.neighbours': neighbours,
    }
    if hypotheses < 3:
        return dict(test_options=options)
    options['model.test_cfg.output_hypotheses'] = True
    return dict(test_options=options, metrics=[dict(type='UncertaintyCalibration')])


rows = [
    dict(name='single frame', model='single frame'),
    dict(name='fusion neck', model='fusion neck'),
    dict(name='STRL, heatmap head', model='STRL'),
    *(
        dict(name=f'DiffPose, {steps} x {hypotheses}', model='DiffPose', **sampling(steps, hypotheses))
        for steps in (1, 2, 4, 8)
        for hypotheses in (1, 5, 10)
    ),
    dict(name='direct fusion, 4 x 5', model='direct fusion', **sampling(4, 5)),
    # Do steps and hypotheses do more where the noisy heatmaps say more?
    *(
        dict(name=f'signal scale 1, {steps} x {hypotheses}', model='strong signal', **sampling(steps, hypotheses))
        for steps, hypotheses in ((1, 1), (4, 1), (4, 10))
    ),
    dict(name='no loss on every frame, 4 x 5', model='no frame loss', **sampling(4, 5)),
    # Does the model use time? The same weights without neighbours, and with neighbours in the wrong places.
    dict(name='DiffPose, 4 x 5, key frame repeated', model='DiffPose', **sampling(4, 5, neighbours='repeated')),
    dict(name='DiffPose, 4 x 5, neighbours shuffled', model='DiffPose', **sampling(4, 5, neighbours='shuffled')),
]
reference = 'single frame'
metrics = [
    dict(type='PoseTrackSubsetAP', subset=subset, ann_dir='annotations/val', data_root='{world}/')
    for subset in ('occluded', 'blurred')
]
columns = {
    'AP': 'posetrack/Mean AP',
    'AP, occluded': 'posetrack_occluded/Mean AP',
    'AP, blurred': 'posetrack_blurred/Mean AP',
    'calibration error': 'calibration/calibration_error',
}
