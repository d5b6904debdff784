# What the authors' configuration says: Adam from 1e-3 for batches of 48, divided by ten at epochs 10 and 15. Their backbone
# knows PoseTrack and is frozen; ours knows COCO, so it learns too, at a tenth of the rate.
_base_ = ['./adam_20e.py']

optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
auto_scale_lr = dict(base_batch_size=48)
