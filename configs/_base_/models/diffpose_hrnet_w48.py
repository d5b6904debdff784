# DiffPose on HRNet-W48. Its map has the heatmap's size already: a token is a patch of 4x4 cells, and the fused map keeps
# the key frame's own fine map beside what the clip says. For 384x288 pixels.
_base_ = ['./hrnet_w48_heatmap.py']

model = dict(
    temporal_neck=dict(
        _delete_=True,
        type='SpatioTemporalRepresentationLearner',
        in_channels=48,
        out_channels=64,
        width=256,
        depth=4,
        feature_size=(72, 96),
        patch_size=4,
        drop_path_rate=0.1,
        key_frame_shortcut=True,
    ),
    head=dict(
        _delete_=True,
        type='DiffusionHeatmapHead',
        in_channels=64,
        out_channels=17,
        denoiser=dict(type='HeatmapDenoiser', upsample_factor=1, feature_channels=128),
        scheduler=dict(type='DDIMScheduler', prediction_type='sample'),
        # Not tuned on PoseTrack: the usual range of images and boxes. The tiny config does better with 0.3.
        signal=dict(scale=1.0, clamp=1.1),
        aggregator=dict(type='MeanHeatmap'),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
    ),
    # The paper's ensembles; one step and hypothesis is the cheapest and, on synthetic videos, as accurate.
    test_cfg=dict(num_steps=4, num_hypotheses=10, seed=0),
)
