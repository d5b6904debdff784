# Fine-tuning of a backbone that knows people, with a decoder from scratch: step decay from 2e-4, mixed precision, and an
# exponential moving average of the weights, which is what is validated and tested.
_base_ = ['./adam_20e.py']

optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.1),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, update_buffers=True, priority=49),
]
