from pathlib import Path

import pytest
from mmengine.config import Config
from mmpose.registry import DATASETS, KEYPOINT_CODECS, METRICS

ROOT = Path(__file__).resolve().parents[2]
ALL_FILES = sorted((ROOT / 'configs/_base_/datasets').glob('*.py'))
LIFTING_FILES = [file for file in ALL_FILES if 'lifting' in file.stem or 'frames' in file.stem]
FILES = [file for file in ALL_FILES if file not in LIFTING_FILES]


def transforms(pipeline):
    return {transform['type']: transform for transform in pipeline}


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_config_builds_and_its_parts_agree(file):
    config = Config.fromfile(file)
    assert config.data_mode == 'topdown'
    codec = KEYPOINT_CODECS.build(config.codec)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        dataset = loader.dataset
        assert dataset.type == config.dataset_type
        assert dataset.data_root == config.data_root
        pipeline = transforms(dataset.pipeline)
        assert tuple(pipeline['SampleClip']['offsets']) == tuple(config.frame_offsets)
        assert tuple(pipeline['TopdownAffine']['input_size']) == tuple(codec.input_size)
        assert pipeline['GetBBoxCenterScale']['padding'] == 1.25
        DATASETS.build({**dataset, 'lazy_init': True})
    train = transforms(config.train_dataloader.dataset.pipeline)
    assert train['GenerateTarget']['encoder'] == config.codec
    val = config.val_dataloader
    assert val == config.test_dataloader
    assert val.dataset.test_mode
    assert val.batch_sampler.num_workers == val.num_workers
    assert config.val_evaluator == config.test_evaluator


@pytest.mark.parametrize('file', [file for file in FILES if 'jhmdb' not in file.stem], ids=lambda file: file.stem)
def test_evaluation_reads_the_annotations_that_the_dataset_reads(file):
    config = Config.fromfile(file)
    assert config.test_evaluator.type == 'PoseTrackAP'
    assert config.test_evaluator.ann_dir == config.test_dataloader.dataset.ann_file
    assert config.test_evaluator.data_root == config.data_root
    assert METRICS.get('PoseTrackAP') is not None


@pytest.mark.parametrize('file', LIFTING_FILES, ids=lambda file: file.stem)
def test_lifting_config_builds_and_its_parts_agree(file):
    config = Config.fromfile(file)
    assert config.data_mode == 'topdown'
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset = loader.dataset
        assert dataset.type == config.dataset_type
        assert dataset.data_root == config.data_root
        assert dataset.num_frames == config.num_frames
        built = DATASETS.build({**dataset, 'lazy_init': True})
        assert built.metainfo['num_keypoints'] == 17
    assert config.test_dataloader == config.val_dataloader
    assert config.val_dataloader.dataset.test_mode
    assert not {*config.train_dataloader.dataset.get('subjects', ())} & {
        *config.val_dataloader.dataset.get('subjects', ())
    }
    assert METRICS.build(config.val_evaluator).default_prefix == 'lifting'


def test_no_config_hides_the_metainfo_file_of_mmpose():
    # MMPose first looks for configs/_base_/datasets/<name>.py below the current folder.
    hidden = {'posetrack18.py', 'jhmdb.py', 'coco.py', 'h36m.py', 'mpi_inf_3dhp.py'}
    assert not hidden & {file.name for file in ALL_FILES}
