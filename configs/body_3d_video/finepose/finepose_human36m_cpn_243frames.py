_base_ = [
    '../../_base_/schedules/finepose_adamw_100e.py',
    '../../_base_/models/finepose.py',
    '../../_base_/datasets/human36m_243frames.py',
]
