# A ResNet-18 of a quarter of the usual width, for two processor cores; no fusion, heatmaps.
# Its last stage does not halve the map: 8x6 cells for 128x96 pixels, the stride 16 of a vision transformer.
model = dict(
    type='VideoTopdownPoseEstimator',
    data_preprocessor=dict(
        type='VideoPoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(type='ResNet', depth=18, stem_channels=16, base_channels=16, strides=(1, 2, 2, 1)),
    temporal_neck=dict(type='KeyFrameNeck', in_channels=128),
    head=dict(
        type='HeatmapHead',
        in_channels=128,
        out_channels=17,
        deconv_out_channels=(64, 64),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
    ),
    test_cfg=dict(flip_test=False),
)
