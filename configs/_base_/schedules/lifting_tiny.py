# Minutes on one processor core.
_base_ = ['./tiny.py']

train_cfg = dict(max_epochs=6, val_interval=6)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.05, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=6, eta_min=2e-5, by_epoch=True, convert_to_iter_based=True),
]
