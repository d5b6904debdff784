# FAMI-Pose for two processor cores: three frames of the synthetic world at 128x96.
_base_ = [
    '../../_base_/schedules/tiny.py',
    '../../_base_/models/tiny_heatmap.py',
    '../../_base_/models/fami_pose_mutual_information.py',
    '../../_base_/datasets/synthetic_128x96.py',
]

model = dict(
    temporal_neck=dict(type='FeatureAlignmentNeck', offset_groups=8, dilation=1),
    head=dict(decoder=_base_.codec),
    aux_losses=[dict(_base_.mutual_information, in_channels=_base_.model.temporal_neck.in_channels)],
)
