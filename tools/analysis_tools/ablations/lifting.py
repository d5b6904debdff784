"""D3DP and FinePOSE against regression networks of their size: prompts, hypotheses, steps and solvers."""

from mmpose_diffusion.engine import load_config

seeds = (0, 1, 2)
# Motions without videos. The people of `val` are others than those of `train`; each motion is one clip.
worlds = dict(
    train=dict(split='train', videos=0, motion_subjects=8, motion_frames=270, seed=0),
    val=dict(split='val', videos=0, motion_subjects=2, motion_frames=27, seed=2),
)
# Half the schedule of the configs, so that the table takes little more than an hour on two cores.
epochs = 3
train = dict(
    world='train',
    options={
        'train_dataloader.dataset.data_root': '{world}/',
        'train_cfg.max_epochs': epochs,
        'param_scheduler.1.end': epochs,
    },
)
tests = dict(val=dict(world='val', options={'test_dataloader.dataset.data_root': '{world}/'}))

prompts = load_config('finepose_tiny_synthetic').model.head.denoiser.prompts
models = {
    'regression': dict(config='regression_tiny_synthetic'),
    # As many clips, sixteen at a time, with which it is better.
    'TCN': dict(config='tcn_tiny_synthetic', options={'train_dataloader.batch_size': 16}),
    'D3DP': dict(config='d3dp_tiny_synthetic'),
    'FinePOSE': dict(config='finepose_tiny_synthetic'),
    'no part prompts': dict(
        config='finepose_tiny_synthetic', options={'model.head.denoiser.prompts': [list(pair) for pair in prompts[:2]]}
    ),
}


def sampling(hypotheses: int, steps: int) -> dict:
    """Test settings of a diffusion head."""
    return {'model.test_cfg.num_hypotheses': hypotheses, 'model.test_cfg.num_steps': steps}


def other_solver(name: str) -> dict:
    """The same network and noise schedule with another way through the steps, without fresh noise."""
    schedule = load_config('d3dp_tiny_synthetic').model.head.scheduler.to_dict()
    schedule.pop('eta')
    return {'model.head.scheduler': {**schedule, 'type': name, '_delete_': True}}


solvers = {
    'DPM-Solver++': 'DPMSolverMultistepScheduler',
    'UniPC': 'UniPCMultistepScheduler',
}
rows = [
    dict(name='regression, same trunk', model='regression'),
    dict(name='regression, temporal convolutions (TCN)', model='TCN'),
    *(
        dict(name=f'D3DP, {hypotheses} x {steps}', model='D3DP', test_options=sampling(hypotheses, steps))
        for hypotheses in (1, 5, 20)
        for steps in (1, 2, 5, 10)
    ),
    *(
        dict(name=f'{name}, 5 x {steps}', model='D3DP', test_options={**sampling(5, steps), **other_solver(solver)})
        for name, solver in solvers.items()
        for steps in (2, 3, 5)
    ),
    *(
        dict(name=f'{name}, {size} x {size}', model=model, test_options=sampling(size, size))
        for name, model in (
            ('FinePOSE', 'FinePOSE'),
            ('FinePOSE without part prompts', 'no part prompts'),
        )
        for size in (1, 5)
    ),
]
reference = rows[0]['name']
columns = {
    'MPJPE of the mean': 'lifting/p_agg',
    'JPMA': 'lifting/j_agg',
    'JPMA, root estimated': 'lifting/j_agg_estimated_root',
    'best per clip (oracle)': 'lifting/p_best_oracle',
    'best per joint (oracle)': 'lifting/j_best_oracle',
    'P-MPJPE': 'lifting/p_mpjpe',
    'velocity error': 'lifting/velocity_error',
}
curves = dict(
    column='MPJPE of the mean',
    xlabel='steps',
    ylabel='MPJPE of the mean of 5 hypotheses, mm',
    rows={
        'DDIM, fresh noise in each step': 'D3DP, 5 x {}',
        **{name: f'{name}, 5 x {{}}' for name in solvers},
    },
)
