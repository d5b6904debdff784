# FinePOSE's schedule: D3DP's, shorter.
_base_ = ['./d3dp_adamw_400e.py']

train_cfg = dict(max_epochs=100, val_interval=5)
