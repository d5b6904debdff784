"""The example that uses the package from outside builds, trains a step and predicts, from its configs as they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS, TRANSFORMS

from mmpose_diffusion.testing import check_temporal_neck

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / 'projects/your_own_neck/configs').glob('*.py'))


@pytest.fixture(autouse=True)
def _repository_root_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))  # as tools/train.py does


def batch_from(pipeline, num_people=2):
    """Send a random video through the transforms of a config."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (120, 160, 3), dtype=np.uint8) for _ in range(6)]
    transforms = [TRANSFORMS.build(transform) for transform in pipeline]
    pairs = [(3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
    flip_indices = np.arange(17)
    for left, right in pairs:
        flip_indices[[left, right]] = right, left
    samples = []
    for person in range(num_people):
        results = dict(
            frames=frames,
            key_frame_index=person,  # the first person's clip starts before the video
            id=person,
            img_id=person,
            bbox=np.array([[20, 10, 90, 110]], dtype=np.float32),
            bbox_score=np.ones(1, dtype=np.float32),
            keypoints=rng.uniform(20, 90, (1, 17, 2)).astype(np.float32),
            keypoints_visible=np.ones((1, 17), dtype=np.float32),
            flip_indices=flip_indices.tolist(),
            flip_pairs=pairs,
            upper_body_ids=list(range(11)),
            lower_body_ids=list(range(11, 17)),
            dataset_keypoint_weights=np.ones(17, dtype=np.float32),
        )
        for transform in transforms:
            results = transform(results)
        samples.append(results)
    return pseudo_collate(samples)


@pytest.mark.parametrize('path', CONFIGS, ids=[path.stem for path in CONFIGS])
def test_config_trains_a_step_and_predicts(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    optimizer = build_optim_wrapper(model, dict(config.optim_wrapper, type='OptimWrapper'))
    before = [weight.clone() for weight in model.temporal_neck.parameters()]
    losses = model.train().train_step(batch_from(config.train_pipeline), optimizer)
    assert losses['loss_kpt'].isfinite()
    assert all(not torch.equal(old, new) for old, new in zip(before, model.temporal_neck.parameters(), strict=True))
    with torch.no_grad():
        predictions = model.eval().test_step(batch_from(config.val_pipeline))
    assert [sample.frame_is_real for sample in predictions] == [(False, True, True), (True, True, True)]
    assert all(sample.pred_instances.keypoints.shape == (1, 17, 2) for sample in predictions)


def test_both_configs_are_there_and_one_uses_a_neck_from_outside_the_package():
    necks = {Config.fromfile(path).model.temporal_neck.type for path in CONFIGS}
    assert necks == {'RecencyNeck', 'SupportFusionNeck'}
    assert not MODELS.get('RecencyNeck').__module__.startswith('mmpose_diffusion.')


def test_the_neck_of_the_example_keeps_the_promises_of_a_temporal_neck():
    Config.fromfile(CONFIGS[0])
    check_temporal_neck(MODELS.build(dict(type='RecencyNeck', in_channels=8)))
