import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS
from safetensors.torch import save_file
from torch import nn

from mmpose_diffusion.models.backbones import TimmVisionTransformer

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'model_converters' / 'vit_to_timm.py'
ARCH = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)


@pytest.fixture
def convert(monkeypatch):
    """Run the command with these arguments."""
    spec = importlib.util.spec_from_file_location('vit_to_timm', SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [SCRIPT.name, *map(str, arguments)])
        script.main()

    return run


@pytest.fixture
def estimator():
    head = dict(
        type='HeatmapHead',
        in_channels=24,
        out_channels=17,
        deconv_out_channels=(8, 8),
        deconv_kernel_sizes=(4, 4),
        decoder=dict(type='UDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=2),
    )
    backbone = dict(type='TimmVisionTransformer', arch=ARCH, img_size=(64, 48))
    return MODELS.build(dict(type='TopdownPoseEstimator', backbone=backbone, head=head))


HUGGING_FACE_NAMES = [
    ('backbone.pos_embed', 'backbone.embeddings.position_embeddings'),
    ('backbone.patch_embed.proj', 'backbone.embeddings.patch_embeddings.projection'),
    ('backbone.blocks', 'backbone.encoder.layer'),
    ('.norm1.', '.layernorm_before.'),
    ('.norm2.', '.layernorm_after.'),
    ('.attn.proj.', '.attention.output.dense.'),
    ('backbone.norm.', 'backbone.layernorm.'),
    ('head.deconv_layers.0.', 'head.deconv1.'),
    ('head.deconv_layers.1.', 'head.batchnorm1.'),
    ('head.deconv_layers.3.', 'head.deconv2.'),
    ('head.deconv_layers.4.', 'head.batchnorm2.'),
    ('head.final_layer.', 'head.conv.'),
]


def hugging_face_weights(model):
    weights = {}
    for name, weight in model.state_dict().items():
        if '.attn.qkv.' in name:
            layer, kind = name.split('.')[2], name.split('.')[-1]
            for part, third in zip(('query', 'key', 'value'), weight.chunk(3), strict=True):
                weights[f'backbone.encoder.layer.{layer}.attention.attention.{part}.{kind}'] = third.clone()
            continue
        for ours, theirs in HUGGING_FACE_NAMES:
            name = name.replace(ours, theirs)
        weights[name] = weight
    positions = weights['backbone.embeddings.position_embeddings']
    weights['backbone.embeddings.position_embeddings'] = torch.cat([torch.zeros(1, 1, 24), positions], dim=1)
    return weights


def test_safetensors_of_hugging_face_become_a_complete_estimator(convert, estimator, tmp_path, capsys):
    save_file(hugging_face_weights(estimator), tmp_path / 'model.safetensors')
    convert(tmp_path / 'model.safetensors', tmp_path / 'ours.pth', '--img-size', 64, 48)
    assert 'Hugging Face VitPose -> ' in capsys.readouterr().out
    expected = {name: weight.clone() for name, weight in estimator.state_dict().items()}
    for weight in estimator.parameters():
        nn.init.zeros_(weight)
    load_checkpoint(estimator, str(tmp_path / 'ours.pth'), strict=True)
    for name, weight in estimator.state_dict().items():
        assert torch.equal(weight, expected[name]), name


def test_safetensors_load_into_the_backbone_without_conversion(estimator, tmp_path):
    save_file(hugging_face_weights(estimator), tmp_path / 'model.safetensors')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'model.safetensors'))
    backbone = TimmVisionTransformer(ARCH, (64, 48), init_cfg=init_cfg)
    backbone.init_weights()
    for name, weight in backbone.state_dict().items():
        assert torch.equal(weight, estimator.backbone.state_dict()[name]), name


def test_positions_are_resampled_and_training_state_is_left_behind(convert, estimator, tmp_path):
    training = dict(state_dict=estimator.state_dict(), optimizer=dict(state={0: torch.zeros(1000, 1000)}))
    torch.save(training, tmp_path / 'epoch_1.pth')
    convert(tmp_path / 'epoch_1.pth', tmp_path / 'new' / 'ours.pth', '--img-size', 128, 96)
    converted = torch.load(tmp_path / 'new' / 'ours.pth', weights_only=True)
    assert set(converted) == {'state_dict', 'meta'}
    assert converted['state_dict']['backbone.pos_embed'].shape == (1, 8 * 6, 24)
    TimmVisionTransformer(ARCH, (128, 96)).load_state_dict(converted['state_dict'], strict=True)


class RunsCode:
    def __reduce__(self):
        return os.system, ('true',)


@pytest.mark.parametrize(
    ('content', 'complaint'),
    [
        (RunsCode(), 'was refused'),
        ({'backbone.blocks.0.mlp.experts.0.weight': torch.zeros(1)}, 'mixture of experts'),
        ({'backbone.conv1.weight': torch.zeros(1)}, 'no vision transformer'),
        ({'blocks.0.norm1.weight': torch.zeros(1)}, 'cannot be told without'),
    ],
    ids=['hostile', 'experts', 'resnet', 'fragment'],
)
def test_refusal_is_one_sentence_and_writes_nothing(content, complaint, convert, tmp_path):
    torch.save(content, tmp_path / 'source.pth')
    with pytest.raises(SystemExit, match=f'source.pth was not converted: .*{complaint}'):
        convert(tmp_path / 'source.pth', tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()


def test_damaged_safetensors_are_named(convert, tmp_path):
    (tmp_path / 'model.safetensors').write_bytes(b'not weights')
    with pytest.raises(SystemExit, match='model.safetensors is not a readable checkpoint'):
        convert(tmp_path / 'model.safetensors', tmp_path / 'ours.pth')
