"""PoseTrack AP against a second implementation: slow, a loop for each sentence of the rules, no shared code."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmpose_diffusion.evaluation.functional import evaluate_posetrack_ap, parse_posetrack_video

NAMES = (
    'right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder '
    'left_shoulder left_elbow left_wrist head_bottom nose head_top'
).split()


# ---- the literal implementation: videos are pairs of file contents, results are lists of 16 numbers


def literal_frames(content, is_prediction):
    """One frame per image: people with joints {id: (x, y)}, scores {id: s}, head size, and the regions to ignore."""
    if 'annolist' in content:
        return [literal_annolist_frame(entry) for entry in content['annolist']]
    names = content['categories'][0]['keypoints']
    token = content['images'][0]['file_name'].split('/')[-2].split('_')[0] if content['images'] else None
    frames = []
    for image in content['images']:
        if image['file_name'].split('/')[-2].split('_')[0] != token:
            continue
        people = []
        for annotation in content['annotations']:
            if annotation['image_id'] != image['id']:
                continue
            joints, scores = {}, {}
            for index, name in enumerate(names):
                x, y, v = annotation['keypoints'][3 * index : 3 * index + 3]
                if name in NAMES and not (x == 0 and y == 0 and v == 0):
                    joints[NAMES.index(name)] = (x, y)
                    listed = annotation.get('scores')
                    scores[NAMES.index(name)] = listed[index] if listed else -9999
            box = annotation.get('bbox_head')
            corners = (box[0], box[1], box[0] + box[2], box[1] + box[3]) if box else None
            people.append({'joints': joints, 'scores': scores, 'head': corners, 'pointless': False})
        regions = []
        if 'ignore_regions_x' in image and 'ignore_regions_y' in image:
            for xs, ys in zip(image['ignore_regions_x'], image['ignore_regions_y'], strict=False):
                regions.append(list(zip(xs, ys, strict=False)))
        frames.append({'people': people, 'regions': regions})
    return frames


def literal_annolist_frame(entry):
    people = []
    for person in entry.get('annorect', []):
        points = person['annopoints'][0]['point'] if person.get('annopoints') else None
        joints = {point['id'][0]: (point['x'][0], point['y'][0]) for point in points or []}
        scores = {point['id'][0]: point['score'][0] if 'score' in point else -9999 for point in points or []}
        head = tuple(person[key][0] for key in ('x1', 'y1', 'x2', 'y2')) if 'x1' in person else None
        people.append({'joints': joints, 'scores': scores, 'head': head, 'pointless': points is None})
    regions = [[(p['x'][0], p['y'][0]) for p in region['point']] for region in entry.get('ignore_regions', [])]
    return {'people': people, 'regions': regions}


def literal_inside(point, polygon):
    """Even-odd rule in exact arithmetic; the border is not inside."""
    x, y = Fraction(point[0]), Fraction(point[1])
    corners = [(Fraction(a), Fraction(b)) for a, b in polygon]
    crossings = 0
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (x2 - x1) * (y - y1) == (y2 - y1) * (x - x1):
            if min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
                return False
        if (y1 > y) != (y2 > y) and x1 + (y - y1) * (x2 - x1) / (y2 - y1) > x:
            crossings += 1
    return crossings % 2 == 1


def literal_without_ignored(people, regions):
    if not regions:
        return people
    remaining = []
    for person in people:
        joints = {
            j: point
            for j, point in person['joints'].items()
            if not any(literal_inside(point, region) for region in regions)
        }
        if joints:
            remaining.append({**person, 'joints': joints})
    return remaining


def literal_hit(predicted, annotated, joint):
    if joint not in predicted['joints'] or joint not in annotated['joints']:
        return False
    (x, y), (u, v) = predicted['joints'][joint], annotated['joints'][joint]
    x1, y1, x2, y2 = annotated['head']
    head_size = 0.6 * math.sqrt((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1))
    if head_size == 0:
        return False
    return math.sqrt((x - u) * (x - u) + (y - v) * (y - v)) / head_size <= 0.5


def literal_matches(predictions, truths):
    """Prediction index -> annotated person's index."""
    q = [[0.0] * len(truths) for _ in predictions]
    for p, prediction in enumerate(predictions):
        for g, truth in enumerate(truths):
            hits = sum(literal_hit(prediction, truth, j) for j in range(15))
            q[p][g] = Fraction(hits, len(truth['joints'])) if truth['joints'] else 0
    if not predictions or not truths:
        return {}
    for row in q:
        best = row.index(max(row))
        for g in range(len(row)):
            if g != best:
                row[g] = 0
    matches = {}
    for g in range(len(truths)):
        column = [row[g] for row in q]
        if max(column) > 0:
            matches[column.index(max(column))] = g
    return matches


def literal_sum(terms):
    """Pairwise summation in blocks of eight."""
    n = len(terms)
    if n < 8:
        total = 0.0
        for term in terms:
            total += term
        return total
    if n <= 128:
        r = list(terms[:8])
        whole = n - n % 8
        for start in range(8, whole, 8):
            r = [r[i] + terms[start + i] for i in range(8)]
        total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
        for term in terms[whole:]:
            total += term
        return total
    half = n // 2
    half -= half % 8
    return literal_sum(terms[:half]) + literal_sum(terms[half:])


def literal_ap(detections, num_annotated):
    if not detections:
        return 0.0, 0.0, 0.0
    if num_annotated == 0:
        return math.nan, 0.0, math.nan
    ranked = sorted(range(len(detections)), key=lambda k: (detections[k][0], k), reverse=True)
    recalls, precisions, hits = [], [], 0
    for k, index in enumerate(ranked, 1):
        hits += detections[index][1]
        recalls.append(hits / num_annotated)
        precisions.append(hits / k)
    envelope = [max(precisions[k:]) for k in range(len(precisions))]
    terms, before = [], 0.0
    for recall, height in zip(recalls, envelope, strict=True):
        if recall != before:
            terms.append((recall - before) * height)
        before = recall
    if recalls[-1] != 1:
        terms.append(0.0)
    return literal_sum(terms) * 100, precisions[-1] * 100, recalls[-1] * 100


def literal_evaluation(videos):
    detections, num_annotated = [[] for _ in NAMES], [0] * len(NAMES)
    for annotated, predicted in videos:
        for truth, guess in zip(literal_frames(annotated, False), literal_frames(predicted, True), strict=True):
            if not truth['people']:
                continue
            truths = [person for person in truth['people'] if not person['pointless']]
            predictions = [person for person in guess['people'] if not person['pointless']]
            predictions = literal_without_ignored(predictions, truth['regions'])
            truths = literal_without_ignored(truths, truth['regions'])
            matches = literal_matches(predictions, truths)
            for p, prediction in enumerate(predictions):
                for j in prediction['joints']:
                    is_hit = p in matches and literal_hit(prediction, truths[matches[p]], j)
                    detections[j].append((prediction['scores'][j], is_hit))
            for person in truths:
                for j in person['joints']:
                    num_annotated[j] += 1
    rows = [literal_ap(detections[j], num_annotated[j]) for j in range(len(NAMES))]
    results = []
    for values in zip(*rows, strict=True):
        numbers = [value for value in values if not math.isnan(value)]
        results.append([*values, literal_sum(numbers) / len(numbers) if numbers else math.nan])
    return results


# ---- random files

SHUFFLED_NAMES = [*NAMES[7:], 'left_ear', *NAMES[:7], 'right_ear']


def random_point(random, center, spread):
    """On a coarse grid, so that equal distances, points on borders and equal people are frequent."""
    kind = random.random()
    if kind < 0.2:
        return [0, 0, 0]
    if kind < 0.23:
        return [0, 0, random.choice([1, 0.3])]
    return [*(center[i] + spread * int(random.integers(-2, 3)) / 2 for i in range(2)), int(random.integers(0, 2))]


def random_person(random, names, frame, track_id, is_prediction, templates):
    """Often near a person of `templates`, so that something is hit; sometimes an exact copy."""
    if templates and random.random() < 0.8:
        points = dict(templates[int(random.integers(len(templates)))])
        share_moved = random.choice([0.0, 0.3, 0.6])
        for name, (x, y, _) in points.items():
            if random.random() < share_moved:
                points[name] = random_point(random, (x, y), 5.0)
    else:
        center = random.integers(0, 8, 2).astype(float) * 10
        points = {name: random_point(random, center, 10.0) for name in SHUFFLED_NAMES}
        templates.append(points)
    keypoints = [value for name in names for value in points[name]]
    person = {'image_id': frame, 'track_id': track_id, 'keypoints': keypoints}
    if is_prediction:
        kind = random.random()
        if kind < 0.9:
            person['scores'] = [float(random.integers(-2, 4)) / 4 for _ in names]
        elif kind < 0.95:
            person['scores'] = []
    else:
        size = [0, 0] if random.random() < 0.05 else random.choice([[6.0, 8.0], [8.0, 15.0], [3.1, 4.7]])
        person['bbox_head'] = [*random.uniform(0, 50, 2).tolist(), *map(float, size)]
    return person


def random_regions(random):
    count = int(random.integers(0, 3))
    lengths = random.choice([0, 3, 4, 5, 6], count)
    xs, ys = ([(random.integers(-2, 10, n) * 10.0).tolist() for n in lengths] for _ in range(2))
    if count and random.random() < 0.3:
        xs[0] = [*xs[0], 1.0]  # lists of unequal length are cut
    return {'ignore_regions_x': xs, 'ignore_regions_y': ys}


def random_video(random, number, num_frames, max_people):
    """Contents of an annotation file and of a prediction file."""
    templates_of_frame = [[] for _ in range(num_frames)]
    contents = []
    for is_prediction in (False, True):
        names = SHUFFLED_NAMES if random.random() < 0.5 else NAMES
        images, annotations = [], []
        for frame in range(num_frames):
            image = {'id': frame, 'file_name': f'images/val/{number:06d}_mpii_test/{frame:06d}.jpg'}
            if not is_prediction and random.random() < 0.4:
                image |= random_regions(random)
            images.append(image)
            for track_id in range(int(random.integers(0, max_people + 1))):
                templates = templates_of_frame[frame]
                annotations.append(random_person(random, names, frame, track_id, is_prediction, templates))
        random.shuffle(annotations)
        category = {'name': 'person', 'keypoints': names}
        contents.append({'images': images, 'annotations': annotations, 'categories': [category]})
    return tuple(contents)


def as_annolist(content, random):
    """The same people in the 2017 layout, some of them stripped of their points."""
    names = content['categories'][0]['keypoints']
    entries = []
    for image in content['images']:
        rectangles = []
        for person in content['annotations']:
            if person['image_id'] != image['id']:
                continue
            points = []
            for index, name in enumerate(names):
                x, y, v = person['keypoints'][3 * index : 3 * index + 3]
                if name in NAMES and (x, y, v) != (0, 0, 0):
                    point = {'id': [NAMES.index(name)], 'x': [x], 'y': [y]}
                    if person.get('scores'):
                        point['score'] = [person['scores'][index]]
                    points.append(point)
            rectangle = {'track_id': [person['track_id']], 'annopoints': [{'point': points}]}
            if random.random() < 0.2:
                rectangle['annopoints'] = []
            if 'bbox_head' in person:
                x, y, w, h = person['bbox_head']
                rectangle |= {'x1': [x], 'y1': [y], 'x2': [x + w], 'y2': [y + h]}
            rectangles.append(rectangle)
        regions = [
            {'point': [{'x': [x], 'y': [y]} for x, y in zip(xs, ys, strict=False)]}
            for xs, ys in zip(image.get('ignore_regions_x', []), image.get('ignore_regions_y', []), strict=False)
        ]
        entries.append({'image': [{'name': image['file_name']}], 'annorect': rectangles, 'ignore_regions': regions})
    return {'annolist': entries}


def evaluate_contents(videos):
    return evaluate_posetrack_ap(
        [
            (parse_posetrack_video(annotated, 'annotations'), parse_posetrack_video(predicted, 'predictions', True))
            for annotated, predicted in videos
        ]
    )


def assert_same_bits(result, expected):
    np.testing.assert_array_equal(np.array(result), np.array(expected))  # exact; NaN equals NaN


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num_videos=st.integers(1, 3), num_frames=st.integers(0, 4))
def test_random_files_give_the_same_bits_as_the_literal_rules(seed, num_videos, num_frames):
    random = np.random.default_rng(seed)
    videos = [random_video(random, number, num_frames, max_people=4) for number in range(num_videos)]
    assert_same_bits(evaluate_contents(videos), literal_evaluation(videos))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), old_side=st.sampled_from(['annotations', 'predictions', 'both']))
def test_random_files_of_the_2017_layout_give_the_same_bits_as_the_literal_rules(seed, old_side):
    random = np.random.default_rng(seed)
    annotated, predicted = random_video(random, 1, 3, max_people=4)
    if old_side != 'predictions':
        annotated = as_annolist(annotated, random)
    if old_side != 'annotations':
        predicted = as_annolist(predicted, random)
    videos = [(annotated, predicted)]
    assert_same_bits(evaluate_contents(videos), literal_evaluation(videos))


def test_many_detections_are_summed_in_the_official_order():
    """More than 128 terms per joint, unequal scores: the pairwise sum is split several times."""
    random = np.random.default_rng(5)
    videos = [random_video(random, number, 60, max_people=6) for number in range(2)]
    for _, predicted in videos:
        for person in predicted['annotations']:
            person['scores'] = random.random(len(person['keypoints']) // 3).tolist()
    result = evaluate_contents(videos)
    assert_same_bits(result, literal_evaluation(videos))
    assert 1 < result.ap[15] < 99
