# SimCC-Pose: FAMI-Pose's features of HRNet-W48 and its mutual information loss, heatmaps and coordinate classifiers.
# A config that inherits this sets head.decoder to a HeatmapSimCCLabel made of the codec of its data and `simcc`.
_base_ = ['./hrnet_w48_heatmap.py', './fami_pose_mutual_information.py']

simcc = dict(sigma=6.0, simcc_split_ratio=2.0)

# Heatmaps weigh 20 times as much as coordinate classes do; the mutual information goes with the heatmaps.
heatmap_weight = 20.0
weights = {term: heatmap_weight * weight for term, weight in _base_.mutual_information.weights.items()}

model = dict(
    temporal_neck=dict(type='FeatureAlignmentNeck'),
    head=dict(type='ResidualSimCCHead', loss=dict(loss_weight=heatmap_weight)),
    aux_losses=[dict(_base_.mutual_information, in_channels=48, weights=weights)],
)
