"""What onnxruntime makes of the exported file is what the model makes of the clips."""

import importlib.util
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmpose.models import build_pose_estimator
from mmpose.structures import PoseDataSample

from mmpose_diffusion.apis.onnx_export import ClipShape, build_part, export_part
from mmpose_diffusion.diffusion import HypothesisNoise
from mmpose_diffusion.testing import BACKBONES, CODECS, FLIP_INDICES, INPUT_SIZE, tiny_model

from .conftest import ROOT

OFFSETS = (-2, 0, 1)  # not evenly spaced
SHAPE = ClipShape(OFFSETS, INPUT_SIZE)
SUPPORT_FUSION = dict(type='SupportFusionNeck', hidden_channels=8)
ALIGNMENT = dict(type='FeatureAlignmentNeck', offset_groups=4, hidden_channels=8)
REPRESENTATION = dict(
    type='SpatioTemporalRepresentationLearner',
    width=16,
    depth=1,
    num_heads=2,
    frame_offsets=OFFSETS,
    feature_size=(4, 6),
)


def build(backbone='hrnet', head='heatmap', temporal_neck=None):
    """A small model with every weight at random, so that nothing hides behind zeros."""
    is_stock = head in CODECS
    config = tiny_model(backbone, head if is_stock else 'heatmap', temporal_neck)
    _, channels, stride = BACKBONES[backbone]
    if head == 'residual_simcc':
        decoder = dict(type='HeatmapSimCCLabel', heatmap=CODECS['heatmap'], simcc=dict(sigma=4.0, simcc_split_ratio=2))
        config['head'].update(type='ResidualSimCCHead', decoder=decoder)
    if head == 'diffusion':
        denoiser = dict(
            type='HeatmapDenoiser',
            upsample_factor=stride // 4,
            scales=(2, 1),
            attention_scales=(2,),
            feature_channels=16,
            token_width=16,
            num_mix_layers=1,
        )
        config['head'] = dict(
            type='DiffusionHeatmapHead',
            in_channels=channels,
            out_channels=len(FLIP_INDICES),
            denoiser=denoiser,
            signal=dict(scale=0.5, clamp=2.0),
            decoder=CODECS['heatmap'],
        )
    torch.manual_seed(0)
    model = build_pose_estimator(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.02)
    return model


def random_clips(batch_size, seed=1):
    width, height = INPUT_SIZE
    shape = (batch_size, len(OFFSETS), 3, height, width)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def prepared(model, clips):
    """What the model's own preprocessing makes of clips, and samples that say which frames they are."""
    window = dict(frame_offsets=OFFSETS, frame_is_real=(True,) * len(OFFSETS), clip_key_index=OFFSETS.index(0))
    samples = [PoseDataSample(metainfo=window) for _ in clips]
    return model.data_preprocessor(dict(inputs=list(clips), data_samples=samples))


def answer(model, clips):
    """The head's raw output for clips, all the model's own way."""
    with torch.no_grad():
        outputs = model(**prepared(model, clips), mode='tensor')
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return session.run(None, {name: values.numpy() for name, values in inputs.items()})


@pytest.mark.parametrize(
    ('backbone', 'head', 'neck', 'names'),
    [
        ('hrnet', 'heatmap', None, ['heatmaps']),
        ('vit', 'simcc', None, ['simcc_x', 'simcc_y']),
        ('vit', 'rtmcc', SUPPORT_FUSION, ['simcc_x', 'simcc_y']),
        ('vit', 'integral', None, ['keypoints', 'heatmaps']),
        ('resnet', 'residual_simcc', ALIGNMENT, ['heatmaps', 'simcc_x', 'simcc_y']),
        ('vit', 'diffusion', REPRESENTATION, ['heatmaps']),
    ],
)
def test_the_network_answers_as_the_model_for_any_batch(tmp_path, backbone, head, neck, names):
    model = build(backbone, head, neck)
    part = build_part(model, SHAPE)
    assert part.output_names == names
    assert export_part(part, tmp_path / 'model.onnx') <= 1e-4
    assert [file.name for file in tmp_path.iterdir()] == ['model.onnx']
    for batch_size in (1, 4):
        clips = random_clips(batch_size)
        for found, expected in zip(run(tmp_path / 'model.onnx', clips=clips), answer(model, clips), strict=True):
            assert np.abs(found - expected.numpy()).max() < min(1e-4, 0.01 * expected.std())


def test_features_and_denoiser_sample_as_the_head_does(tmp_path):
    """Two hypotheses in three steps, the loop written out beside the two files."""
    model = build('vit', 'diffusion')
    for name in ('features', 'denoiser'):
        export_part(build_part(model, SHAPE, name), tmp_path / f'{name}.onnx')
    clips, process, steps = random_clips(2), model.head.process, [999, 499, 199]
    (features,) = run(tmp_path / 'features.onnx', clips=clips)
    noise = HypothesisNoise.from_seeds([3, 4], num_hypotheses=2)
    noisy = noise.draw((len(FLIP_INDICES), 24, 16))  # [2 * 2, K, h', w']
    alphas = [*process.schedule.alphas_cumprod[steps].tolist(), 1.0]
    for step, now, after in zip(steps, alphas[:-1], alphas[1:], strict=True):
        guess = run(
            tmp_path / 'denoiser.onnx',
            noisy=process.network_input(noisy, torch.full((4,), step)),
            step=torch.full((4,), step),
            features=torch.from_numpy(features).repeat_interleave(2, dim=0),
        )[0]
        clean = (torch.from_numpy(guess) * process.signal.scale).clamp(-1, 1)
        noisy = after**0.5 * clean + (1 - after) ** 0.5 * (noisy - now**0.5 * clean) / (1 - now) ** 0.5
    data = prepared(model, clips)
    with torch.no_grad():
        feats = model.extract_feat(**data)
        expected = model.head.sample_heatmaps(
            [feats.fused], HypothesisNoise.from_seeds([3, 4], num_hypotheses=2), num_steps=steps
        ).hypotheses
    np.testing.assert_allclose(process.signal.decode(clean), expected.flatten(0, 1), atol=2e-4)


def test_a_file_that_differs_is_not_written(tmp_path):
    class Moody(torch.nn.Module):
        """Answers otherwise once it is exported."""

        def forward(self, clips):
            return clips.float() + (0 if torch.compiler.is_exporting() else 1)

    part = build_part(build(), SHAPE)._replace(network=Moody())
    with pytest.raises(ArithmeticError, match=r'Moody differs from the original by 1, .*model.onnx was not written'):
        export_part(part, tmp_path / 'model.onnx')
    assert list(tmp_path.iterdir()) == []


def test_parts_that_are_not_there_are_refused():
    with pytest.raises(TypeError, match='a HeatmapHead has no denoiser'):
        build_part(build(), SHAPE, 'denoiser')
    image_model = {**tiny_model('hrnet'), 'type': 'TopdownPoseEstimator'}
    image_model.pop('temporal_neck')
    with pytest.raises(TypeError, match='a TopdownPoseEstimator with'):
        build_part(build_pose_estimator(image_model), SHAPE)


def test_the_clip_is_that_of_the_test_pipeline():
    config = Config.fromfile(ROOT / 'configs/body_2d_video/baselines/support_fusion_tiny_synthetic.py')
    assert ClipShape.from_config(config) == ClipShape((-1, 0, 1), (96, 128))
    config.test_dataloader.dataset.pipeline = [dict(type='TopdownAffine', input_size=(96, 128))]
    with pytest.raises(ValueError, match='must say by SampleClip'):
        ClipShape.from_config(config)


@pytest.fixture
def export(monkeypatch):
    """Run the tool."""
    spec = importlib.util.spec_from_file_location('export_tool', ROOT / 'tools/export_onnx.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run_tool(*words):
        monkeypatch.setattr(sys, 'argv', ['export_onnx.py', *map(str, words)])
        tool.main()

    return run_tool


def test_the_tool_says_what_it_wrote_and_how_exact_it_is(export, make_config, tmp_path, capsys):
    config = make_config()
    torch.save(build_pose_estimator(Config.fromfile(config).model).state_dict(), tmp_path / 'weights.pth')
    export(config, tmp_path / 'weights.pth', '--out', tmp_path / 'new/model.onnx')
    printed = capsys.readouterr().out
    assert "clips ['batch', 3, 3, 128, 96] torch.uint8 -> heatmaps" in printed
    assert 'model.onnx: differs from the original by at most' in printed
    assert (tmp_path / 'new/model.onnx').exists()
    with pytest.raises(SystemExit, match='There is no checkpoint nothing.pth'):
        export(config, 'nothing.pth', '--out', tmp_path / 'model.onnx')
    with pytest.raises(SystemExit, match='a HeatmapHead has no denoiser'):
        export(config, tmp_path / 'weights.pth', '--out', tmp_path / 'model.onnx', '--part', 'denoiser')
    torch.save({}, tmp_path / 'other.pth')
    with pytest.raises(SystemExit, match='other.pth is no checkpoint of this VideoTopdownPoseEstimator: it lacks'):
        export(config, tmp_path / 'other.pth', '--out', tmp_path / 'model.onnx')


def test_the_tool_names_what_has_to_be_installed(export, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'onnxscript' else found(name))
    with pytest.raises(SystemExit, match='Exporting needs onnxscript: pip install onnxscript'):
        export('config', 'weights.pth', '--out', 'model.onnx')
