# D3DP for one processor core: 27 frames of the synthetic world.
_base_ = [
    '../../_base_/schedules/lifting_tiny.py',
    '../../_base_/models/d3dp_tiny.py',
    '../../_base_/datasets/synthetic_lifting.py',
]
