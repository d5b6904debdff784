"""Configs of FAMI-Pose and of SimCC-Pose, which share the features and the mutual information loss."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS, TRANSFORMS

from mmpose_diffusion.engine import load_config
from mmpose_diffusion.models.backbones.vision_transformer import resolve_architecture

FOLDER = Path(__file__).parents[2] / 'configs/body_2d_video'
CONFIGS = sorted(path for method in ('fami_pose', 'simcc_pose') for path in (FOLDER / method).glob('*.py'))
TINY = [path for path in CONFIGS if 'tiny' in path.stem]


@cache
def read(path):
    """A config, read once; not to be changed."""
    return load_config(str(path))


def clips_through(pipeline, input_size, batch_size=4):
    """Clips of noise and random keypoints, sent through what a config does after cropping."""
    rng, (width, height) = np.random.default_rng(0), input_size
    position = [transform['type'] for transform in pipeline].index('TopdownAffine')
    transforms = [TRANSFORMS.build(transform) for transform in pipeline[position + 1 :]]
    offsets = pipeline[0]['offsets']
    samples = []
    for person in range(batch_size):
        sample = dict(
            img=[rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in offsets],
            keypoints=rng.uniform(0, input_size, (1, 17, 2)).astype(np.float32),
            keypoints_visible=np.ones((1, 17), np.float32),
            bbox=np.array([[0, 0, width, height]], np.float32),
            bbox_score=np.ones(1, np.float32),
            id=person,
            video=f'{person}',
            track_id=0,
            input_size=tuple(input_size),
            input_center=np.array(input_size) / 2,
            input_scale=np.array(input_size, np.float64),
            flip_indices=list(range(17)),
            frame_offsets=offsets,
            frame_is_real=(True,) * len(offsets),
            clip_key_index=offsets.index(0),
        )
        for transform in transforms:
            sample = transform(sample)
        samples.append(sample)
    return pseudo_collate(samples)


def test_the_promised_configs_exist():
    names = {path.stem for path in CONFIGS}
    for method in ('fami_pose', 'simcc_pose'):
        assert {f'{method}_hrnet_w48_posetrack{year}_384x288' for year in (17, 18, 21)} <= names
        assert f'{method}_tiny_synthetic' in names
    assert 'fami_pose_vit_base_posetrack18_256x192' in names
    for head in ('simcc_head', 'rtmcc_head'):
        assert {f'{head}_tiny_synthetic', f'{head}_hrnet_w48_posetrack17_384x288'} <= names


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_agrees_with_itself_and_gives_what_its_codec_encodes(path):
    config = read(path)
    init_default_scope('mmpose')
    assert config.data_mode == 'topdown'
    assert config.dataset_type == config.train_dataloader.dataset.type == config.test_dataloader.dataset.type
    pipeline = config.train_dataloader.dataset.pipeline
    encoder, decoder = pipeline[-2].encoder, config.model.head.decoder
    heatmap, simcc = encoder.get('heatmap', encoder), encoder.get('simcc')
    assert heatmap == config.codec
    assert decoder == encoder or decoder == dict(simcc, type='SimCCLabel', input_size=heatmap.input_size)
    width, height = heatmap.input_size
    assert tuple(pipeline[-3].input_size) == (width, height)
    settings = deepcopy(config.model)
    if settings.backbone.type == 'TimmVisionTransformer':  # one layer says as much as twelve equal ones
        settings.backbone.arch = resolve_architecture(settings.backbone.arch)._replace(num_layers=1)._asdict()
    with torch.device('meta'):
        model = MODELS.build(settings).eval()
    maps = model.extract_frame_maps(torch.empty(1, 3, height, width, device='meta'))
    assert maps.shape[1] == model.temporal_neck.in_channels == model.temporal_neck.out_channels
    outputs = model.head((maps,))
    shapes = [tuple(output.shape[1:]) for output in (outputs if isinstance(outputs, tuple) else (outputs,))]
    maps_shape = (17, *heatmap.heatmap_size[::-1])
    bins = [(17, int(side * simcc.simcc_split_ratio)) for side in (width, height)] if simcc else []
    assert shapes == {'HeatmapHead': [maps_shape], 'ResidualSimCCHead': [maps_shape, *bins]}.get(
        config.model.head.type, bins
    )


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_mutual_information_is_scaled_with_the_heatmaps_and_only_with_them(path):
    config = read(path)
    (loss,) = config.model.aux_losses
    factor = config.model.head.loss.get('loss_weight', 1)
    assert factor == (550 if config.model.head.type == 'ResidualSimCCHead' else 1)
    assert loss.weights == {term: factor * weight for term, weight in config.mutual_information.weights.items()}
    others = ('type', 'num_keypoints', 'temperature')
    assert [loss[name] for name in others] == [config.mutual_information[name] for name in others]


def test_fami_and_simcc_pose_see_the_same_features():
    """What the tiny ones are compared for is the head."""
    fami, simcc = (read(FOLDER / name / f'{name}_tiny_synthetic.py').model for name in ('fami_pose', 'simcc_pose'))
    for part in ('temporal_neck', 'backbone', 'data_preprocessor'):
        assert fami[part] == simcc[part]


@pytest.mark.parametrize('path', TINY, ids=lambda path: path.stem)
def test_tiny_configs_train_a_step_and_predict(path):
    config = read(path)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(deepcopy(config.model)).train()
    before = {name: weight.clone() for name, weight in model.head.named_parameters()}
    data = clips_through(config.train_dataloader.dataset.pipeline, config.codec.input_size)
    losses = model.train_step(data, build_optim_wrapper(model, config.optim_wrapper))
    assert all(value.isfinite() for value in losses.values())
    assert any(name.startswith('loss_mi_') for name in losses)
    assert all(not torch.equal(weight, before[name]) for name, weight in model.head.named_parameters())
    results = model.eval().test_step(data)
    assert all(result.pred_instances.keypoints.shape == (1, 17, 2) for result in results)
    assert all(np.isfinite(result.pred_instances.keypoints).all() for result in results)
