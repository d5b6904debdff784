# MMPose's SimCCHead on the same features: coordinate classifiers alone.
_base_ = ['./simcc_pose_hrnet_w48_posetrack17_384x288.py']

base_head, input_size = _base_.model.head, _base_.codec.input_size

model = dict(
    head=dict(
        _delete_=True,
        type='SimCCHead',
        in_channels=base_head.in_channels,
        out_channels=base_head.out_channels,
        input_size=input_size,
        in_featuremap_size=_base_.codec.heatmap_size,
        simcc_split_ratio=_base_.simcc.simcc_split_ratio,
        deconv_out_channels=None,
        loss=dict(type='KLDiscretLoss', use_target_weight=True),
        decoder=dict(type='SimCCLabel', input_size=input_size, **_base_.simcc),
    ),
    aux_losses=[dict(_base_.mutual_information, in_channels=base_head.in_channels)],  # not scaled: no heatmaps
)
