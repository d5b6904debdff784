# MMPose's SimCCHead on the same features: coordinate classifiers alone, behind the same deconvolutions.
_base_ = ['./simcc_pose_tiny_synthetic.py']

base_head = _base_.model.head
input_size, heatmap_size = _base_.codec.input_size, _base_.codec.heatmap_size

optim_wrapper = dict(clip_grad=dict(max_norm=1.0))

model = dict(
    head=dict(
        _delete_=True,
        type='SimCCHead',
        in_channels=base_head.in_channels,
        out_channels=base_head.out_channels,
        input_size=input_size,
        in_featuremap_size=tuple(side // 2 ** len(base_head.deconv_out_channels) for side in heatmap_size),
        simcc_split_ratio=_base_.simcc.simcc_split_ratio,
        deconv_out_channels=base_head.deconv_out_channels,
        deconv_kernel_sizes=base_head.deconv_kernel_sizes,
        loss=dict(type='KLDiscretLoss', use_target_weight=True),
        decoder=dict(type='SimCCLabel', input_size=input_size, **_base_.simcc),
    ),
    aux_losses=[dict(_base_.mutual_information, in_channels=base_head.in_channels)],  # not scaled: no heatmaps
)
