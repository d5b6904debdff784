# DiffPose on ViT-B. A config that inherits this sets head.decoder to the codec of its data.
# The paper leaves width and depth open; these keep 5 frames, 1 step and 1 hypothesis within 186 GFLOPs.
_base_ = ['./vit_base_heatmap.py']

model = dict(
    temporal_neck=dict(
        _delete_=True,
        type='SpatioTemporalRepresentationLearner',
        in_channels=768,
        out_channels=256,
        width=256,
        depth=4,
        feature_size=(12, 16),
        drop_path_rate=0.1,
    ),
    head=dict(
        _delete_=True,
        type='DiffusionHeatmapHead',
        in_channels=256,
        out_channels=17,
        denoiser=dict(type='HeatmapDenoiser', upsample_factor=4),
        scheduler=dict(type='DDIMScheduler', prediction_type='sample'),
        # Not tuned on PoseTrack: the usual range of images and boxes. The tiny config does better with 0.3.
        signal=dict(scale=1.0, clamp=1.1),
        aggregator=dict(type='MeanHeatmap'),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
    ),
    # The paper's ensembles; one step and hypothesis is the cheapest and, on synthetic videos, as accurate.
    test_cfg=dict(num_steps=4, num_hypotheses=10, seed=0),
)
