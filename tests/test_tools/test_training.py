"""tools/train.py and tools/test.py as a user runs them: real processes, real files."""

import json
import re
import signal
import subprocess
import sys
import time

import mmengine
import pytest
import torch

from .conftest import ROOT, read_losses, read_metrics, tool_environment


def load_weights(work_dir, epoch):
    return torch.load(work_dir / f'epoch_{epoch}.pth', weights_only=True)['state_dict']


def predicted_people(folder):
    """Image id and number in the image of everybody in the result files."""
    contents = [json.loads(path.read_text()) for path in sorted(folder.glob('*.json'))]
    return [(person['image_id'], person['track_id']) for content in contents for person in content['annotations']]


def test_checkpoint_of_training_is_evaluated_and_used_by_the_stock_inferencer(tmp_path, make_config, run_tool, world):
    config = make_config()
    run_tool('tools/train.py', config, '--work-dir', tmp_path / 'run')
    assert len(read_losses(tmp_path / 'run')) == 3 * 4  # epochs, and batches of the 2 videos x 4 frames x 2 people

    checkpoint = tmp_path / 'run/epoch_3.pth'
    outputs = ['--out', tmp_path / 'metrics.json', '--dump', tmp_path / 'all.pkl', '--show-dir', tmp_path / 'pictures']
    run_tool('tools/test.py', config, checkpoint, '--work-dir', tmp_path / 'test', *outputs)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert 0 <= metrics['posetrack/Mean AP'] <= 100
    assert len(mmengine.load(tmp_path / 'all.pkl')) == 16  # people in the 2 videos x 4 frames
    assert len(list((tmp_path / 'pictures').glob('*.jpg'))) == 16

    torch.save(dict(state_dict={}), tmp_path / 'other.pth')
    done = run_tool('tools/test.py', config, tmp_path / 'other.pth', '--work-dir', tmp_path / 'other', check=False)
    assert done.returncode
    assert re.search(rf'other\.pth is no checkpoint of the model in {config}.*missing', done.stderr.splitlines()[-1])

    from mmpose.apis import MMPoseInferencer

    image = next((world / 'images/val').rglob('*.jpg'))
    inferencer = MMPoseInferencer(pose2d=str(config), pose2d_weights=str(checkpoint), det_model='whole_image')
    result = next(inferencer(str(image), show_progress=False))
    assert len(result['predictions'][0][0]['keypoints']) == 17


def test_killed_training_resumes_to_the_same_losses(tmp_path, make_config, run_tool):
    config, epochs = make_config(augment=True, workers=1), 8
    options = ['--cfg-options', f'train_cfg.max_epochs={epochs}']
    run_tool('tools/train.py', config, '--work-dir', tmp_path / 'whole', *options)

    command = [sys.executable, 'tools/train.py', config, '--work-dir', tmp_path / 'killed', *options]
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=tool_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / 'killed/last_checkpoint').exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / f'killed/epoch_{epochs}.pth').exists(), 'it was killed too late to show anything'

    run_tool('tools/train.py', config, '--work-dir', tmp_path / 'killed', '--resume', *options)
    assert read_losses(tmp_path / 'killed') == pytest.approx(read_losses(tmp_path / 'whole'), rel=1e-6)
    torch.testing.assert_close(load_weights(tmp_path / 'killed', epochs), load_weights(tmp_path / 'whole', epochs))


def test_two_processes_train_as_one_with_the_doubled_batch_and_evaluate_each_sample_once(
    tmp_path, make_config, run_tool
):
    # 15 samples: the second process repeats one. Two workers deal three batches out of order.
    options = [
        f'val_dataloader.{option}' for option in ('num_workers=2', 'batch_sampler.num_workers=2', 'batch_size=3')
    ]
    options += ['val_dataloader.dataset.indices=15', 'val_evaluator.nms_mode=none']
    for name, batch_size, start in (('one', 4, ROOT / 'tools/train.py'), ('two', 2, ROOT / 'tools/dist_train.sh')):
        config, processes = make_config(f'{name}.py', batch_size=batch_size), [2] if name == 'two' else []
        outfiles = f'val_evaluator.outfile_prefix={tmp_path / "results" / name}'
        folder = ['--work-dir', tmp_path / name]
        # MMEngine exchanges results through a folder where it is started.
        run_tool(start, config, *processes, *folder, '--cfg-options', *options, outfiles, cwd=tmp_path)
    for epoch in (1, 3):
        torch.testing.assert_close(
            load_weights(tmp_path / 'two', epoch), load_weights(tmp_path / 'one', epoch), rtol=1e-4, atol=1e-5
        )
    assert read_metrics(tmp_path / 'two') == pytest.approx(read_metrics(tmp_path / 'one'), abs=1e-6)
    people = {name: predicted_people(tmp_path / 'results' / name) for name in ('one', 'two')}
    assert len(people['one']) == 15
    assert people['two'] == people['one']


@pytest.mark.parametrize(
    ('command', 'message'),
    [
        (['tools/train.py', 'no_such_config'], 'There is no config no_such_config'),
        (['tools/test.py', 'key_frame_tiny_synthetic', 'no_such.pth'], 'There is no checkpoint no_such.pth'),
    ],
)
def test_bad_command_ends_with_the_culprit(run_tool, command, message):
    done = run_tool(*command, check=False)
    assert done.returncode
    assert message in done.stderr.splitlines()[-1]
