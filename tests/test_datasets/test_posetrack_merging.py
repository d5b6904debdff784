import json

import pytest

from mmpose_diffusion.datasets.posetrack_files import as_video, read_annotations
from mmpose_diffusion.datasets.posetrack_merging import merge_videos


def videos(make_video, *numbers):
    return [as_video(f'video{number}', f'{number}.json', make_video(number)) for number in numbers]


def test_ids_stay_official_and_images_know_their_video(make_video):
    merged = merge_videos(videos(make_video, 1, 2))
    assert [image['id'] for image in merged['images']] == [10**10 + v * 10**4 + f for v in (1, 2) for f in range(6)]
    assert {image['video'] for image in merged['images']} == {'video1', 'video2'}
    originals = make_video(1)['annotations'] + make_video(2)['annotations']
    assert [annotation['id'] for annotation in merged['annotations']] == [entry['id'] for entry in originals]
    for annotation, original in zip(merged['annotations'], originals, strict=True):
        assert original.items() <= annotation.items()


def test_people_get_what_coco_evaluation_needs(make_video):
    annotation = merge_videos(videos(make_video, 1))['annotations'][0]
    assert annotation['area'] == pytest.approx(30 * 40 * 0.53)
    assert annotation['num_keypoints'] == 15
    assert annotation['iscrowd'] == 0


def test_sizes_are_added_where_they_lack(make_video):
    content = make_video(1)
    del content['images'][0]['width'], content['images'][0]['height']
    merged = merge_videos([as_video('a', 'a.json', content)], image_size=lambda name: (7, 9))
    assert [(image['height'], image['width']) for image in merged['images'][:2]] == [(7, 9), (64, 96)]


def test_video_names_survive_the_way_back(tmp_path, make_video):
    (tmp_path / 'merged.json').write_text(json.dumps(merge_videos(videos(make_video, 1, 2))))
    assert [video.name for video in read_annotations(str(tmp_path / 'merged.json'))] == ['video1', 'video2']


def test_what_cannot_share_a_file_is_refused(make_video):
    with pytest.raises(ValueError, match='image id .* occurs in 1.json and in 1.json'):
        merge_videos(videos(make_video, 1, 1))
    other = videos(make_video, 1, 2)
    other[1].categories[0]['keypoints'].reverse()
    with pytest.raises(ValueError, match='2.json lists other keypoints than 1.json'):
        merge_videos(other)
    repeated = videos(make_video, 1, 2)
    repeated[1].annotations[0]['id'] = repeated[0].annotations[0]['id']
    with pytest.raises(ValueError, match='annotation id 1000001000100 occurs in 1.json and again in 2.json'):
        merge_videos(repeated)
    nameless = videos(make_video, 1)
    del nameless[0].annotations[3]['id']
    with pytest.raises(ValueError, match=r'1.json: annotations\[3\] has no id'):
        merge_videos(nameless)
