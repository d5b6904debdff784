"""The audit on an untrained checkpoint: scores are low, but whether they move shows what the model looks at."""

import importlib.util
import json
import math

import pytest
import torch
from mmpose.registry import MODELS

from mmpose_diffusion.engine import load_config

from .conftest import ROOT

TOOL = ROOT / 'tools/analysis_tools/temporal_audit.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('temporal_audit_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def audited(make_config, tool, tmp_path, monkeypatch):
    """Audits a neck given in words, with random weights; returns the command's arguments."""

    def make(neck):
        config, checkpoint = tmp_path / 'audited.py', tmp_path / 'random.pth'
        base = make_config('base.py')
        config.write_text(f"_base_ = ['{base}']\nmodel = dict(temporal_neck={neck})\n")
        torch.manual_seed(0)
        model = MODELS.build(load_config(str(config)).model)
        for weight in model.temporal_neck.parameters():  # a fusion that has learned nothing yet adds nothing
            torch.nn.init.normal_(weight)
        torch.save(model.state_dict(), checkpoint)
        words = [TOOL, config, checkpoint, '--work-dir', tmp_path / 'work', '--out', tmp_path / 'new' / 'audit.json']
        monkeypatch.setattr('sys.argv', [str(word) for word in words])
        return tool.parse_arguments()

    return make


def test_key_frame_alone_scores_the_same_whatever_its_neighbours(audited, tool, tmp_path, capsys):
    audited("dict(_delete_=True, type='KeyFrameNeck', in_channels=32)")
    tool.main()
    scores = json.loads((tmp_path / 'new' / 'audit.json').read_text())
    assert list(scores) == ['true', 'repeated', 'shuffled']
    for name, value in scores['true'].items():
        if 'time' not in name:
            for other in (scores['repeated'][name], scores['shuffled'][name]):
                assert other == value or (math.isnan(other) and math.isnan(value))
    printed = capsys.readouterr().out
    table = printed[printed.index('PoseTrack AP (mean), boxes: ground truth') :].splitlines()
    assert table[1].split() == ['all', 'joints', 'occluded', 'blurred', 'fast']
    assert [line.split()[0] for line in table[2:5]] == ['true', 'key', 'neighbours']
    assert all(line.split()[-2] == '-' for line in table[2:5])  # nothing is blurred in an easy world
    assert 'Equal rows' in table[5]
    (log,) = (tmp_path / 'work').glob('*/*.log')
    assert log.read_text().count('Load checkpoint from') == 1


def test_neck_that_fuses_frames_is_found_to_look_at_them(audited, tool):
    """Errors in pixels in place of AP, which random weights leave at zero."""
    arguments = audited('dict()')
    config = tool.apply_arguments(load_config(arguments.config), arguments)
    config.test_evaluator = [dict(type='KeypointError')]
    errors = {values['keypoint_error/mean_px'] for values in tool.audit(config).values()}
    assert len(errors) == 3


def test_single_support_frame_is_audited_without_shuffling(audited, tool, capsys):
    arguments = audited("dict(_delete_=True, type='KeyFrameNeck', in_channels=32)")
    config = load_config(arguments.config)
    for step in config.test_dataloader.dataset.pipeline:
        if step.type == 'SampleClip':
            step.offsets = (-1, 0)
    config = tool.apply_arguments(config, arguments)
    config.test_evaluator = [config.test_evaluator[0]]
    scores = tool.audit(config)
    assert list(scores) == ['true', 'repeated']
    tool.print_table(scores, 'ground truth')
    printed = capsys.readouterr().out
    assert 'one support frame, which cannot be shuffled' in printed
    assert 'neighbours shuffled' not in printed


def test_what_cannot_be_audited_is_refused(audited, tool, tmp_path):
    arguments = audited('dict()')
    config = load_config(arguments.config)
    config.test_dataloader.dataset.pipeline = [dict(type='LoadImage')]
    with pytest.raises(SystemExit, match='no SampleClip'):
        tool.with_neighbours(config.test_dataloader, 'shuffled')
    config.test_evaluator = dict(type='CocoMetric')
    with pytest.raises(SystemExit, match='no PoseTrackAP'):
        tool.apply_arguments(config, arguments)
    (tmp_path / 'random.pth').unlink()
    with pytest.raises(SystemExit, match='no checkpoint'):
        tool.main()
