import json

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmpose_diffusion.engine import load_config
from mmpose_diffusion.engine.training_log import training_entries, training_seconds


def test_redone_iterations_count_once_and_validations_not_at_all(tmp_path):
    runs = {
        '1': [dict(iter=i, step=i, loss=9.0, time=t) for i, t in ((10, 1.0), (20, 2.0), (30, 9.0))],
        '2': [dict(iter=30, step=30, loss=2.0, time=3.0), {'posetrack/Mean AP': 1.0, 'time': 99.0, 'step': 3}]
        + [dict(iter=35, step=35, loss=1.0, time=4.0)],
    }
    for name, entries in runs.items():
        path = tmp_path / name / 'vis_data/scalars.json'
        path.parent.mkdir(parents=True)
        path.write_text(''.join(f'{json.dumps(entry)}\n' for entry in entries))
    assert {i: entry['loss'] for i, entry in training_entries(tmp_path).items()} == {10: 9, 20: 9, 30: 2, 35: 1}
    assert training_seconds(tmp_path) == 10 * 1 + 10 * 2 + 10 * 3 + 5 * 4
    assert training_seconds(tmp_path / 'nothing') == 0


class Square(BaseModel):
    """Draws one number to zero."""

    def __init__(self):
        super().__init__()
        self.number = nn.Parameter(torch.ones(()))

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.number**2)


def test_log_of_our_configs_reaches_to_the_end_of_every_epoch(tmp_path):
    logger = load_config('key_frame_tiny_synthetic').default_hooks.logger
    Runner(
        Square(),
        str(tmp_path),
        train_dataloader=dict(
            dataset=[dict(inputs=0)] * 5, batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(logger={**logger, 'interval': 2}, checkpoint=None),
        default_scope='mmengine',
        experiment_name=tmp_path.name,
    ).train()
    entries = training_entries(tmp_path)
    assert list(entries) == [2, 4, 5, 7, 9, 10]
    assert 0 < training_seconds(tmp_path) <= 10 * max(entry['time'] for entry in entries.values())
