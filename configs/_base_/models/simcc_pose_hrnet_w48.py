# SimCC-Pose: FAMI-Pose's features of HRNet-W48 and its mutual information loss, heatmaps and coordinate classifiers.
# A config that inherits this sets head.decoder to a HeatmapSimCCLabel made of the codec of its data and `simcc`.
_base_ = ['./hrnet_w48_heatmap.py']

simcc = dict(sigma=6.0, simcc_split_ratio=2.0)

model = dict(
    temporal_neck=dict(type='FeatureAlignmentNeck'),
    head=dict(type='ResidualSimCCHead', loss=dict(loss_weight=20.0)),
    aux_losses=[
        dict(
            type='MutualInformationLoss',
            in_channels=48,
            num_keypoints=17,
            weights=dict(label_added=0.01, keep_key=0.01, keep_support=0.01),
        )
    ],
)
