_base_ = [
    '../../_base_/schedules/finepose_adamw_100e.py',
    '../../_base_/models/finepose.py',
    '../../_base_/datasets/mpi_inf_3dhp_243frames.py',
]

# No prompt about the action: the data set names none. All others are longer.
prompts = [('A person', 5), ('speed', 8), ('head', 8), ('body', 8), ('arm', 12), ('leg', 12)]
model = dict(head=dict(denoiser=dict(prompts=prompts)))
