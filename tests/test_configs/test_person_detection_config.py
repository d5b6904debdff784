"""The detector for the synthetic world: builds, learns, is evaluated without an annotation file of its own."""

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS, MODELS
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, write_videos
from mmpose_diffusion.engine import load_config


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    for split in ('train', 'val'):
        settings = WorldSettings(videos=1, frames=4, people=2, difficulty='easy', split=split, unlabeled_share=0)
        assert list(write_videos(root, settings))
    config = load_config('rtmdet_tiny_synthetic')
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{root}/'
    return config


@pytest.fixture
def mmdet_scope(mmpose_scope):
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def test_the_detector_learns_and_its_boxes_are_scored(config, mmdet_scope):
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    (batch,) = Runner.build_dataloader(config.train_dataloader, seed=0)
    assert batch['inputs'][0].shape == (3, 160, 256)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(6):
        data = model.data_preprocessor(batch, training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    metric = METRICS.build(config.val_evaluator)
    metric.dataset_meta = dict(classes=('person',))
    for batch in Runner.build_dataloader(config.val_dataloader):
        samples = [sample.to_dict() for sample in model.eval().val_step(batch)]
        metric.process(batch, samples)
        truth = [{**sample, 'pred_instances': as_predictions(sample)} for sample in samples]
        metric_of_truth = METRICS.build(config.val_evaluator)
        metric_of_truth.dataset_meta = metric.dataset_meta
        metric_of_truth.process(batch, truth)
    assert -1 <= metric.evaluate(4)['coco/bbox_mAP'] <= 1
    assert metric_of_truth.evaluate(4)['coco/bbox_mAP'] == pytest.approx(1)


def as_predictions(sample):
    """The annotated boxes as if they had been detected."""
    boxes = torch.tensor([person['bbox'] for person in sample['instances']])
    return dict(bboxes=boxes, scores=torch.ones(len(boxes)), labels=torch.zeros(len(boxes), dtype=torch.int64))
