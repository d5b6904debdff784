"""What the tables of 2D video models share: trained on hard videos, scored on easy and on hard ones of another seed."""

seeds = (0, 1, 2)
worlds = dict(
    train=dict(split='train', videos=200, frames=10, difficulty='hard', seed=0, motion_frames=50),
    easy=dict(split='val', videos=20, frames=10, difficulty='easy', seed=2, motion_frames=50),
    hard=dict(split='val', videos=20, frames=10, difficulty='hard', seed=2, motion_frames=50),
)
# A smaller budget than that of the demo: a training takes minutes on a core.
epochs = 2
train = dict(
    world='train',
    options={
        'train_dataloader.dataset.data_root': '{world}/',
        'train_cfg.max_epochs': epochs,
        'param_scheduler.1.end': epochs,
    },
)
tests = {
    name: dict(
        world=name,
        options={'test_dataloader.dataset.data_root': '{world}/', 'test_evaluator.data_root': '{world}/'},
    )
    for name in ('easy', 'hard')
}
