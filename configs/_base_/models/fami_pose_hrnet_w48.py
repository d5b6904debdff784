# FAMI-Pose on HRNet-W48: aligned support frames, heatmaps, mutual information.
# A config that inherits this sets head.decoder to the codec of its data.
_base_ = ['./hrnet_w48_heatmap.py', './fami_pose_mutual_information.py']

model = dict(
    temporal_neck=dict(type='FeatureAlignmentNeck'),
    aux_losses=[dict(_base_.mutual_information, in_channels=48)],
)
