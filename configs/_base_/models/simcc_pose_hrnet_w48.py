# SimCC-Pose: FAMI-Pose's features of HRNet-W48 and its mutual information loss, heatmaps and coordinate classifiers.
# A config that inherits this sets head.decoder to a HeatmapSimCCLabel made of the codec of its data and `simcc`.
_base_ = ['./hrnet_w48_heatmap.py', './simcc_pose_mutual_information.py']

simcc = dict(sigma=6.0, simcc_split_ratio=2.0)

model = dict(
    temporal_neck=dict(type='FeatureAlignmentNeck'),
    head=dict(type='ResidualSimCCHead', loss=dict(loss_weight=_base_.heatmap_weight)),
    aux_losses=[dict(_base_.scaled_mutual_information, in_channels=48)],
)
