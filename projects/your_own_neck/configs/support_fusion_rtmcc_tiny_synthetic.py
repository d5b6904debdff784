# Mixing parts: MMPose's ResNet and RTMCCHead with this package's SupportFusionNeck between them.
_base_ = [
    '../../../configs/_base_/schedules/tiny.py',
    '../../../configs/_base_/datasets/synthetic_128x96.py',
]

# The head predicts two one-dimensional distributions, so the labels are those and not heatmaps.
codec = dict(
    type='SimCCLabel', input_size=(96, 128), sigma=(3.5, 4.0), simcc_split_ratio=2.0, normalize=False, use_dark=False
)
train_pipeline = [
    *_base_.clip_loading,
    *_base_.augmentation,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackClipInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(
    type='VideoTopdownPoseEstimator',
    data_preprocessor=dict(
        type='VideoPoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(type='ResNet', depth=18, stem_channels=16, base_channels=16, strides=(1, 2, 2, 1)),
    temporal_neck=dict(type='SupportFusionNeck', in_channels=128, hidden_channels=64, dilations=(1, 2)),
    head=dict(
        type='RTMCCHead',
        in_channels=128,
        out_channels=17,
        input_size=codec['input_size'],
        in_featuremap_size=(6, 8),
        simcc_split_ratio=codec['simcc_split_ratio'],
        loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=10.0, label_softmax=True),
        decoder=codec,
    ),
    test_cfg=dict(flip_test=True),
)
