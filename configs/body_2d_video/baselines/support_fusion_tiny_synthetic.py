# The key frame and its two neighbours, fused by a plain learned neck.
_base_ = [
    '../../_base_/schedules/tiny.py',
    '../../_base_/models/tiny_heatmap.py',
    '../../_base_/datasets/synthetic_128x96.py',
]

model = dict(temporal_neck=dict(type='SupportFusionNeck', hidden_channels=64), head=dict(decoder=_base_.codec))
