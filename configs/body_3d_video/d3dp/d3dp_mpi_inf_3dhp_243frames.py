_base_ = [
    '../../_base_/schedules/d3dp_adamw_400e.py',
    '../../_base_/models/d3dp.py',
    '../../_base_/datasets/mpi_inf_3dhp_243frames.py',
]
