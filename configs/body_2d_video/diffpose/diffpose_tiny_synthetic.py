# DiffPose for two processor cores: three frames of the synthetic world at 128x96.
_base_ = [
    '../../_base_/schedules/tiny.py',
    '../../_base_/models/tiny_heatmap.py',
    '../../_base_/datasets/synthetic_128x96.py',
]

model = dict(
    temporal_neck=dict(
        _delete_=True,
        type='SpatioTemporalRepresentationLearner',
        in_channels=128,
        width=64,
        depth=2,
        num_heads=4,
        frame_offsets=_base_.frame_offsets,
        feature_size=(6, 8),
        key_frame_shortcut=True,
    ),
    head=dict(
        _delete_=True,
        type='DiffusionHeatmapHead',
        in_channels=128,
        out_channels=17,
        denoiser=dict(
            type='HeatmapDenoiser',
            upsample_factor=4,
            feature_channels=64,
            lookup_channels=64,
            mix_channels=64,
            token_width=64,
            num_mix_layers=1,
        ),
        # A weak signal drowns in little noise, so that in most steps the features have to find the joints.
        signal=dict(scale=0.3, clamp=1.1),
        decoder=_base_.codec,
    ),
    # Minutes of training: no time for the gradient of the neighbours' passes through the backbone, which a heatmap head on
    # the key frame's own map helps to teach.
    gradient_frames='key',
    aux_losses=[
        dict(
            type='AuxiliaryHead',
            reads='key',
            head=dict(
                type='HeatmapHead',
                in_channels=128,
                out_channels=17,
                deconv_out_channels=(64, 64),
                deconv_kernel_sizes=(4, 4),
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
            ),
        )
    ],
    test_cfg=dict(num_steps=2, num_hypotheses=5, seed=0),
)
