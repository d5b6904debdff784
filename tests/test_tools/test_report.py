"""The report of real, small evaluations: of DiffPose with all sections, of models, boxes and data sets without most."""

import importlib.util
import json
import re
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from scipy.io import savemat

from mmpose_diffusion.engine import load_config

from .conftest import ROOT

SIZES = 'model.head.denoiser.'
SMALL = [f'{SIZES}{name}=8' for name in ('feature_channels', 'lookup_channels', 'mix_channels', 'token_width')]
FOLDER = ROOT / 'tools/analysis_tools'

# A clip model on clips of sub-JHMDB: no sizes of heads, 15 joints, files that count pixels from one.
SUB_JHMDB = """
_base_ = [
    '{root}/configs/_base_/schedules/tiny.py', '{root}/configs/_base_/models/tiny_heatmap.py',
    '{root}/configs/_base_/datasets/sub_jhmdb_256x256.py']
model = dict(
    head=dict(
        _delete_=True, type='DiffusionHeatmapHead', in_channels=128, out_channels=15,
        denoiser=dict(type='HeatmapDenoiser', upsample_factor=4, feature_channels=8, lookup_channels=8,
                      mix_channels=8, token_width=8), decoder=_base_.codec),
    test_cfg=dict(num_steps=2, num_hypotheses=3, seed=0))
test_dataloader = dict(dataset=dict(data_root='{data}/'))
"""
# An image model of MMPose's own estimator on MMPose's own data set.
COCO = """
_base_ = ['{root}/configs/body_2d_video/diffpose/diffusion_image_vit_base_coco_256x192.py']
model = dict(
    backbone=dict(
        _delete_=True, type='TimmVisionTransformer', img_size=(256, 192),
        arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64)),
    head=dict(
        in_channels=32, denoiser=dict(feature_channels=8, lookup_channels=8, mix_channels=8, token_width=8)),
    test_cfg=dict(num_steps=2, num_hypotheses=3))
test_dataloader = dict(
    dataset=dict(data_root='{data}/', ann_file='coco.json', bbox_file=None, data_prefix=dict(img='')))
test_evaluator = dict(ann_file='{data}/coco.json')
"""
# A clip model scored by PoseTrack AP and by AP of OKS.
BOTH_SCORES = """
_base_ = [
    '{root}/configs/body_2d_video/baselines/support_fusion_tiny_synthetic.py',
    '{root}/configs/_base_/evaluation/coco_oks.py']
test_dataloader = dict(dataset=dict(data_root='{data}/'), batch_sampler=dict(num_workers=0))
test_evaluator = [
    dict(type='PoseTrackAP', ann_dir='annotations/val', data_root='{data}/'), _base_.coco_oks]
"""
# Where joints of JHMDB are among PoseTrack's; the belly (None) is between shoulders and hips.
JHMDB_JOINTS = [1, None, 2, 6, 5, 12, 11, 8, 7, 14, 13, 10, 9, 16, 15]


@pytest.fixture
def load_tool(monkeypatch):
    """Imports a file of the report as its own command would."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, FOLDER / f'{name}.py')
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture
def write_report(tmp_path, world, monkeypatch, load_tool):
    """Run the command for an untrained model on the synthetic world or the config's own data; returns the page."""
    report = load_tool('report')

    def write(name, *options, data_root=f'{world}/'):
        torch.manual_seed(0)
        config = load_config(name)
        sizes = dict(option.split('=') for option in options if option.startswith(SIZES))
        config.merge_from_dict({size: int(value) for size, value in sizes.items()})
        model = MODELS.build(config.model)
        torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'untrained.pth')
        settings = ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
        if data_root:
            settings += [f'test_dataloader.dataset.data_root={data_root}', f'test_evaluator.data_root={data_root}']
        if config.test_dataloader.get('batch_sampler'):
            settings += ['test_dataloader.batch_sampler.num_workers=0']
        out = tmp_path / 'new/report.html'
        words = ['report.py', name, tmp_path / 'untrained.pth', '--out', out, '--cfg-options', *settings, *options]
        monkeypatch.setattr(sys, 'argv', list(map(str, words)))
        report.main()
        assert [path.name for path in out.parent.iterdir()] == ['report.html']
        return out.read_text()

    return write


@pytest.mark.parametrize(('tool', 'option'), [('report', '--out'), ('benchmark_inference_memory', '--plot')])
def test_unwritable_results_are_reported_before_the_work(load_tool, tmp_path, monkeypatch, tool, option):
    (tmp_path / 'weights.pth').write_text('')
    words = ['missing_config', tmp_path / 'weights.pth', option, tmp_path / 'weights.pth/result']
    monkeypatch.setattr(sys, 'argv', list(map(str, [tool, *words])))
    with pytest.raises((OSError, SystemExit), match=r'cannot be written to .*weights\.pth'):
        load_tool(tool).main()


def section(page, title):
    """The HTML below a heading."""
    return re.search(rf'<h2>{re.escape(title)}</h2>(.*?)(?=<h2>|</body>)', page, flags=re.DOTALL)[1]


def table_rows(part):
    return [re.findall(r'<td>(.*?)</td>', row) for row in re.findall(r'<tr>(.*?)</tr>', part)][1:]


def test_page_of_a_diffusion_model_has_everything_and_needs_nothing_else(write_report, tmp_path):
    log = tmp_path / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    entries = [dict(loss=2.0, loss_kpt=2.0, iter=10), dict(loss=1.0, loss_kpt=1.0, iter=20)]
    log.write_text('\n'.join(map(json.dumps, [*entries, {'posetrack/Mean AP': 12.0, 'step': 1}])))
    sampling = ['model.test_cfg.num_steps=2', 'model.test_cfg.num_hypotheses=3']
    page = write_report('diffpose_tiny_synthetic', *sampling, *SMALL)
    assert not re.search(r'(?:src|href)="(?!data:image/)', page)
    assert '<script' not in page
    assert 'boxes: ground truth' in page
    assert 'class="missing"' not in page

    scores = {row[0]: row[1:] for row in table_rows(section(page, 'Average precision by joint'))}
    figures = dict(table_rows(section(page, 'How this was made')))
    assert len(scores['all, official']) == 9
    assert float(scores['all, official'][7]) == pytest.approx(float(figures['posetrack/Mean AP']), abs=0.051)
    assert float(scores['occluded'][7]) == pytest.approx(float(figures['posetrack_occluded/Mean AP']), abs=0.051)
    audited = table_rows(section(page, 'Does it use time?'))
    assert [row[0] for row in audited] == ['true neighbours', 'key frame repeated', 'neighbours shuffled']
    assert audited[0][1:] == scores['all, official'][:8]
    assert len(table_rows(section(page, 'Steadiness over time'))) == 2
    for title, pictures in (('How far off joints are', 1), ('Does it know when it is unsure?', 1), ('Training', 1)):
        assert section(page, title).count('data:image/svg+xml') == pictures
    for title, pictures in (('Worst people', 2), ('Best people', 2), ('From noise to pose', 2)):
        assert section(page, title).count('data:image/jpeg') == pictures, f'{title}: one of each video'
    errors = [float(value) for value in re.findall(r'Mean error ([\d.]+)', page)]
    assert errors[0] >= errors[1] >= errors[3] >= errors[2]
    assert 'num_hypotheses=3' in section(page, 'How this was made')


def test_what_does_not_apply_is_left_out_with_a_sentence(write_report):
    page = write_report('key_frame_tiny_synthetic', 'test_dataloader.dataset.pipeline.0.offsets=[0]')
    assert 'HeatmapHead gives one answer' in section(page, 'Does it know when it is unsure?')
    assert 'there are no steps to show' in section(page, 'From noise to pose')
    assert 'single images' in section(page, 'Does it use time?')
    assert 'no log of a training' in section(page, 'Training')
    assert page.count('class="missing"') == 4
    assert len(table_rows(section(page, 'Average precision by joint'))) >= 2


def test_boxes_of_a_detector_are_named_and_nobody_is_called_best_or_worst(write_report, world, tmp_path):
    annotations = json.loads(next((world / 'annotations/val').glob('*.json')).read_text())
    boxes = [
        dict(image_id=person['image_id'], category_id=1, bbox=person['bbox'], score=0.9)
        for person in annotations['annotations']
        if person.get('bbox')
    ]
    (tmp_path / 'detector.json').write_text(json.dumps(boxes))
    page = write_report('key_frame_tiny_synthetic', f'test_dataloader.dataset.bbox_file={tmp_path}/detector.json')
    assert 'boxes: ' in page
    assert 'detector.json' in page
    assert '<h2>Worst people</h2>' not in page
    assert 'those of a detector' in section(page, 'How far off joints are')
    assert [row[0] for row in table_rows(section(page, 'Average precision by joint'))] == ['all, official']


def write_config(folder, text, data):
    path = folder / 'config.py'
    path.write_text(text.format(root=ROOT, data=data))
    return path


def read_videos(world):
    return [json.loads(path.read_text()) for path in sorted((world / 'annotations/val').glob('*.json'))]


def test_sub_jhmdb_has_all_that_needs_no_size_of_heads(write_report, world, tmp_path):
    data = tmp_path / 'jhmdb'
    (data / 'sub_splits').mkdir(parents=True)
    for number, video in enumerate(read_videos(world)):
        folder = f'walk/walk{number}'
        for kind in ('joint_positions', 'puppet_mask', 'Rename_Images'):
            (data / kind / folder).mkdir(parents=True)
        images = [cv2.imread(str(world / image['file_name'])) for image in video['images']]
        masks = np.zeros((*images[0].shape[:2], len(images)), np.uint8)
        masks[40:200, 100:200] = 1
        people = [person for person in video['annotations'] if person['track_id'] == 0]
        exact = np.array([person['synthetic']['keypoints_exact'] for person in people])  # [F, 17, 2]
        belly = exact[:, [5, 6, 11, 12]].mean(axis=1)
        joints = np.stack([belly if joint is None else exact[:, joint] for joint in JHMDB_JOINTS], axis=1)  # [F, 15, 2]
        for frame, image in enumerate(images, start=1):
            cv2.imwrite(str(data / 'Rename_Images' / folder / f'{frame:05d}.png'), image)
        savemat(data / 'joint_positions' / folder / 'joint_positions.mat', {'pos_img': joints.transpose(2, 1, 0) + 1})
        savemat(data / 'puppet_mask' / folder / 'puppet_mask.mat', {'part_mask': masks})
    (data / 'sub_splits/walk_test_split1.txt').write_text('walk0.avi 2\nwalk1.avi 2')
    page = write_report(write_config(tmp_path, SUB_JHMDB, data), data_root=None)
    assert f'of {data}/joint_positions (SubJHMDBVideoDataset); boxes: ground truth' in page
    figures = dict(table_rows(section(page, 'How this was made')))
    assert f'<b>{float(figures["PCK"]):.3f}</b>PCK' in page.replace('\n', '')
    assert 'JhmdbPCKAccuracy, not with PoseTrackAP' in section(page, 'Average precision by joint')
    assert 'box diagonals' in section(page, 'How far off joints are')
    assert len(table_rows(section(page, 'Steadiness over time'))) == 2
    assert section(page, 'Does it know when it is unsure?').count('data:image/svg+xml') == 1
    for title in ('Worst people', 'Best people'):
        assert section(page, title).count('data:image/jpeg') == 2, f'{title}: one of each video'


def test_images_of_coco_with_a_model_of_mmpose(write_report, world, tmp_path):
    videos = read_videos(world)
    people = []
    for person in (person for video in videos for person in video['annotations']):
        keypoints = np.array(person['keypoints']).reshape(17, 3)
        keypoints[1:3] = 0  # eyes in COCO
        keypoints[:, 2] *= 2
        people.append(
            {**person, 'keypoints': keypoints.ravel().tolist(), 'area': person['bbox'][2] * person['bbox'][3]}
        )
    images = [image for video in videos for image in video['images']]
    categories = [dict(id=1, name='person')]
    data = tmp_path / 'coco'
    data.mkdir()
    (data / 'images').symlink_to(world / 'images')
    (data / 'coco.json').write_text(json.dumps(dict(images=images, annotations=people, categories=categories)))
    page = write_report(write_config(tmp_path, COCO, data), data_root=None)
    assert '(CocoDataset); boxes: ground truth' in page
    figures = dict(table_rows(section(page, 'How this was made')))
    assert f'<b>{float(figures["coco/AP"]):.3f}</b>COCO AP' in page.replace('\n', '')
    assert 'single images' in section(page, 'Does it use time?')
    assert 'no tracks to follow' in section(page, 'Steadiness over time')
    assert section(page, 'Does it know when it is unsure?').count('data:image/svg+xml') == 1
    assert section(page, 'From noise to pose').count('data:image/jpeg') == 2


def test_posetrack_ap_and_ap_of_oks_stand_side_by_side(write_report, world, tmp_path):
    page = write_report(write_config(tmp_path, BOTH_SCORES, world), data_root=None)
    figures = dict(table_rows(section(page, 'How this was made')))
    assert f'<b>{float(figures["posetrack/Mean AP"]):.1f}</b>PoseTrack AP' in page.replace('\n', '')
    assert f'<b>{float(figures["coco/AP"]):.3f}</b>COCO AP' in page.replace('\n', '')
    assert len(table_rows(section(page, 'Does it use time?'))) == 3


def test_few_hypotheses_and_other_metrics_are_explained(load_tool, world, tmp_path):
    report = load_tool('report')
    config = load_config('diffpose_tiny_synthetic')
    config.test_dataloader.dataset.data_root = f'{world}/'
    config.model.test_cfg.num_hypotheses = 1
    config.test_evaluator = dict(type='CocoMetric', box_source='somewhere')
    plan = report.Plan(config, tmp_path / 'curve.json')
    assert 'num_hypotheses=10' in plan.missing['calibration']
    assert 'CocoMetric, not with PoseTrackAP' in plan.missing['joints']
    assert 'audit' in plan.missing
    assert plan.box_source == 'somewhere'
    assert {metric['type'] for metric in plan.metrics} == {'CocoMetric', 'KeypointError', 'TemporalConsistency'}
    assert config.model.test_cfg.output_hypotheses is False


def test_missing_checkpoint_is_named_before_anything_is_read(load_tool, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['report.py', 'no_such_config', 'nowhere.pth'])
    with pytest.raises(SystemExit, match=r'no checkpoint nowhere\.pth'):
        load_tool('report').main()


def person(keeper_module, video, error):
    sample = PoseDataSample(metainfo=dict(video=video))
    sample.pred_instances = InstanceData()
    return keeper_module.Person(sample, np.array([error, np.nan]))


def test_extremes_are_the_highest_of_each_video_whatever_the_order(load_tool):
    keeper = load_tool('report_people')
    generator = np.random.default_rng(0)
    values = generator.uniform(size=(12, 20))  # [video, person]
    offers = [(video, value) for video, row in enumerate(values) for value in row]
    extremes = keeper.Extremes(4)
    for index in generator.permutation(len(offers)):
        video, value = offers[index]
        extremes.offer(value, person(keeper, f'v{video}', value))
    found = [kept.mean_error for kept in extremes.people()]
    np.testing.assert_array_equal(found, np.sort(values.max(axis=1))[::-1][:4])


def test_curves_go_on_where_a_resumed_training_went_on(load_tool, tmp_path):
    first = [dict(loss=3.0, loss_kpt=2.0, loss_aux=1.0, iter=1), dict(loss=9.0, loss_kpt=8.0, loss_aux=1.0, iter=2)]
    second = [dict(loss=2.0, loss_kpt=1.0, loss_aux=1.0, iter=2), {'posetrack/Mean AP': 40.0, 'step': 1}]
    for name, entries in (('1', first), ('2', second)):
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        (tmp_path / name / 'vis_data/scalars.json').write_text('\n'.join(map(json.dumps, entries)))
    losses, scores = load_tool('report_page').read_curves(tmp_path)
    assert losses == {'loss': ((1, 2), (3.0, 2.0)), 'loss_kpt': ((1, 2), (2.0, 1.0)), 'loss_aux': ((1, 2), (1.0, 1.0))}
    assert scores == {'posetrack/Mean AP (validation)': ((2,), (40.0,))}
