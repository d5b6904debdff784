import pytest


@pytest.mark.timeout(900)  # eight commands one after the other, each with the start of its own Python
def test_demo_leaves_a_page_and_a_video_and_mixes_no_settings(tmp_path, run_tool):
    command = ['tools/demo.py', '--out', tmp_path / 'out', '--data', tmp_path / 'world', '--videos', 2, '--frames', 4]
    command += ['--difficulty', 'easy', '--cfg-options', 'train_cfg.max_epochs=1']
    done = run_tool(*command)
    page = (tmp_path / 'out/index.html').read_text()
    pictures = {
        kind: len(list((tmp_path / 'out').rglob(f'diffpose*/**/*_{kind}.png'))) for kind in ('pose', 'denoising')
    }
    assert min(pictures.values()) > 0
    assert page.count('data:image/') == 2 + sum(min(count, 3) for count in pictures.values())
    assert (tmp_path / 'out/skeletons.mp4').stat().st_size
    assert str(tmp_path / 'out/index.html') in done.stdout

    # The table of the page is that of the terminal.
    names = ('single frame', 'three frames', 'DiffPose')
    table = [line.split()[-8:] for line in done.stdout.splitlines() if line.startswith(names)]
    assert len(table) == len(names)
    assert all(f'<td>{value}</td>' in page for row in table for value in row)
    assert done.stdout.count('$ python') == 8

    refused = run_tool(*command, 'model.test_cfg.flip_test=True', check=False)
    assert refused.returncode
    assert 'other settings' in refused.stderr
