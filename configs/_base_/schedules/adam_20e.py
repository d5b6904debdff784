# Fine-tuning of an image model that knows people already.
_base_ = ['../default_runtime.py']

train_cfg = dict(max_epochs=20, val_interval=1)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=20, milestones=[10, 15], gamma=0.1, by_epoch=True),
]
auto_scale_lr = dict(base_batch_size=512)
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best='posetrack/Mean AP', rule='greater'),
)
