# D3DP's schedule: AdamW with decay on everything, a learning rate that shrinks by 0.7 % an epoch, no warm-up. The last
# checkpoint is the result; the released code chose it by scores on the test subjects.
_base_ = ['../default_runtime.py']

train_cfg = dict(by_epoch=True, max_epochs=400, val_interval=10)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=6e-5, weight_decay=0.1))
param_scheduler = [dict(type='ExponentialLR', gamma=0.993, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=2))
randomness = dict(seed=1)
