"""A world small enough to train on in seconds, and a config for it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, write_videos

ROOT = Path(__file__).resolve().parents[2]

# A ViT has no batch statistics, so that two processes can compute what one does. No augmentation unless asked for.
CONFIG = """
_base_ = ['{root}/configs/body_2d_video/baselines/support_fusion_tiny_synthetic.py']
codec = dict(type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(6, 8), sigma=1)
model = dict(
    backbone=dict(
        _delete_=True, type='TimmVisionTransformer', img_size=(128, 96),
        arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64)),
    temporal_neck=dict(in_channels=32, hidden_channels=8),
    head=dict(in_channels=32, deconv_out_channels=None, deconv_kernel_sizes=None, decoder=codec))
train_pipeline = [
    dict(type='SampleClip', offsets=(-1, 0, 1)), dict(type='LoadClip'), dict(type='GetBBoxCenterScale', padding=1.25),
    *([dict(type='RandomBBoxTransform')] if {augment} else []),
    dict(type='TopdownAffine', input_size=codec['input_size']), dict(type='GenerateTarget', encoder=codec),
    dict(type='PackClipInputs')]
data_root = '{world}/'
train_dataloader = dict(
    batch_size={batch_size}, num_workers={workers}, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(data_root=data_root)
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=3, val_interval=3)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1))
"""


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    for split in ('train', 'val'):
        settings = WorldSettings(videos=2, frames=4, people=2, difficulty='easy', split=split, unlabeled_share=0)
        assert list(write_videos(root, settings))
    return root


@pytest.fixture
def make_config(tmp_path, world):
    def make(name='tiny.py', batch_size=4, augment=False, workers=0):
        path = tmp_path / name
        settings = dict(root=ROOT, world=world, batch_size=batch_size, augment=augment, workers=workers)
        path.write_text(CONFIG.format(**settings))
        return path

    return make


def tool_environment():
    """The environment of a tool: its python first on the PATH, one thread, a free port for its processes."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = str(server.getsockname()[1])
    return {**os.environ, 'PATH': path, 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore', 'PORT': port}


@pytest.fixture
def run_tool():
    def run(*command, check=True, cwd=ROOT):
        words = [str(word) for word in command]
        if words[0].endswith('.py'):
            words.insert(0, sys.executable)
        done = subprocess.run(words, cwd=cwd, env=tool_environment(), capture_output=True, text=True, check=False)
        assert not (check and done.returncode), done.stdout[-3000:] + done.stderr[-3000:]
        return done

    return run


def read_log(work_dir):
    """What MMEngine logged in this folder, in all runs, line by line."""
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def read_losses(work_dir):
    """Training losses by iteration; a later run overwrites an earlier one's."""
    return {entry['step']: entry['loss'] for entry in read_log(work_dir) if 'loss' in entry}


def read_metrics(work_dir):
    """The last validation's AP columns."""
    entry = [entry for entry in read_log(work_dir) if 'posetrack/Mean AP' in entry][-1]
    return {name: value for name, value in entry.items() if name.startswith('posetrack/')}
