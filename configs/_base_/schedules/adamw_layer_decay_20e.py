# Fine-tuning of a vision transformer: the nearer to the image, the slower a layer learns.
_base_ = ['./adam_20e.py']

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(_delete_=True, type='AdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.1),
    constructor='VisionTransformerLayerDecay',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
