# SimCC-Pose for two processor cores: heatmaps and coordinate classifiers on the aligned features of three frames.
_base_ = [
    '../../_base_/schedules/tiny.py',
    '../../_base_/models/tiny_heatmap.py',
    '../../_base_/models/simcc_pose_mutual_information.py',
    '../../_base_/datasets/synthetic_128x96.py',
]

simcc = dict(sigma=4.0, simcc_split_ratio=2.0)
heatmap_and_simcc = dict(type='HeatmapSimCCLabel', heatmap=_base_.codec, simcc=simcc)
train_pipeline = [
    *_base_.train_pipeline[:-2],
    dict(type='GenerateTarget', encoder=heatmap_and_simcc),
    dict(type='PackClipInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# Beside heatmaps of weight 1 the gradients of these losses are long: at the schedule's 1.0 every step would be clipped.
optim_wrapper = dict(clip_grad=dict(max_norm=27.0))

model = dict(
    temporal_neck=dict(type='FeatureAlignmentNeck', offset_groups=8, dilation=1),
    head=dict(type='ResidualSimCCHead', decoder=heatmap_and_simcc, loss=dict(loss_weight=_base_.heatmap_weight)),
    aux_losses=[dict(_base_.scaled_mutual_information, in_channels=_base_.model.temporal_neck.in_channels)],
)
