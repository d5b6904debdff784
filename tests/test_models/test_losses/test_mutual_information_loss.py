import itertools
from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

from mmpose_diffusion.models import MutualInformationLoss
from mmpose_diffusion.models.losses.label_distributions import label_distributions
from mmpose_diffusion.models.losses.mutual_information_loss import different_people
from mmpose_diffusion.structures import ClipFeatures, FrameWindow
from mmpose_diffusion.testing import CODECS, random_clips, tiny_model

ALL = ('label_fused', 'label_added', 'keep_key', 'keep_support', 'label_aligned', 'redundancy')
WITHOUT_ALIGNMENT = ALL[:4]
C, K, SIZE = 6, 5, (6, 4)


def build(terms=ALL, **options):
    torch.manual_seed(0)
    arguments = dict(in_channels=C, num_keypoints=K, weights=dict.fromkeys(terms, 1.0), width=8)
    return MODELS.build(dict(type='MutualInformationLoss', **{**arguments, **options}))


def clip_features(batch_size=4, num_frames=3, is_real=None, seed=0, scale=1.0, dtype=torch.float32):
    """Leaf tensors for frames, aligned supports and fused map, so that each one's gradient can be seen."""
    generator = torch.Generator().manual_seed(seed)

    def maps(*axes):
        return (scale * torch.randn(*axes, C, *SIZE, generator=generator)).to(dtype).requires_grad_()

    window = FrameWindow.consecutive(batch_size, num_frames)
    if is_real is not None:
        window = window._replace(is_real=torch.tensor(is_real))
    frames, aligned, fused = maps(batch_size, num_frames), maps(batch_size, num_frames - 1), maps(batch_size)
    return ClipFeatures(frames=frames, window=window, aligned=aligned, fused=fused)


def labelled(batch_size=4, head='heatmap'):
    return random_clips(head, batch_size, 3)['data_samples']


def total(losses):
    return sum(losses.values())


@pytest.mark.parametrize('term', ALL)
def test_each_term_is_logged_under_its_own_name_and_the_others_are_not_built(term):
    loss = build(ALL, weights={**dict.fromkeys(ALL, 0), term: 0.5})
    assert list(loss.estimators) == [term]
    names = {f'loss_mi_{term}'} | ({'loss_mi_redundancy_likelihood'} if term == 'redundancy' else set())
    losses = loss(clip_features(), labelled())
    assert set(losses) == names
    assert all(value.ndim == 0 and value.isfinite() for value in losses.values())
    double = build(weights={term: 1.0})(clip_features(), labelled())
    torch.testing.assert_close(double[f'loss_mi_{term}'], 2 * losses[f'loss_mi_{term}'])


# Which leaves a term may move: what is compared with stays as it is.
MOVED = {
    'label_fused': {'fused'},
    'label_aligned': {'aligned'},
    'label_added': {'aligned'},
    'keep_key': {'fused'},
    'keep_support': {'aligned'},
    'redundancy': {'aligned'},
}


def repeating_the_key_frame(features):
    """Features whose aligned supports do repeat the key frame, so that CLUB is above its floor."""
    key = features.key.detach()
    return features._replace(aligned=torch.stack((key, key), dim=1).requires_grad_())


def trained_predictor(loss, features, steps=100):
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(features, labelled(len(features.fused)))['loss_mi_redundancy_likelihood'].backward()
        optimizer.step()
    loss.zero_grad()


def with_something_to_learn(term):
    """The loss of one term and features on which it is above zero."""
    loss, features = build([term]), clip_features(8)
    if term == 'redundancy':
        features = repeating_the_key_frame(features)
        trained_predictor(loss, features)
    return loss, features


@pytest.mark.parametrize('term', ALL)
def test_gradients_reach_what_should_learn_and_nothing_else(term):
    loss, features = with_something_to_learn(term)
    value = loss(features, labelled(8))[f'loss_mi_{term}']
    assert value > 0
    value.backward()
    leaves = dict(frames=features.frames, aligned=features.aligned, fused=features.fused)
    assert {name for name, leaf in leaves.items() if leaf.grad is not None and leaf.grad.any()} == MOVED[term]
    learned = [weight.grad is not None and bool(weight.grad.any()) for weight in loss.parameters()]
    assert learned == [term != 'redundancy'] * len(learned)


# Which maps a term reads.
READ = {
    'label_fused': {'fused'},
    'label_aligned': {'aligned'},
    'label_added': {'key', 'aligned'},
    'keep_key': {'key', 'fused'},
    'keep_support': {'supports', 'aligned'},
    'redundancy': {'key', 'aligned'},
}


def with_noise(features, maps):
    """The features with other noise in the place of some maps."""
    noise = clip_features(len(features.fused), seed=1)
    if maps in ('aligned', 'fused'):
        return features._replace(**{maps: getattr(noise, maps)})
    places = [features.window.key_index] if maps == 'key' else features.window.support_positions
    frames = features.frames.detach().clone()
    frames[:, places] = noise.frames[:, places].detach()
    return features._replace(frames=frames)


@pytest.mark.parametrize('term', ALL)
def test_each_term_reads_its_own_maps_and_no_others(term):
    loss, features = with_something_to_learn(term)
    maps = ('key', 'supports', 'aligned', 'fused')
    values = {name: loss(with_noise(features, name), labelled(8))[f'loss_mi_{term}'] for name in maps}
    value = loss(features, labelled(8))[f'loss_mi_{term}']
    assert value > 0
    assert {name for name in maps if values[name] != value} == READ[term]


def test_predictor_of_club_learns_from_its_likelihood_which_reaches_no_features():
    loss, features = build(['redundancy']), clip_features()
    loss(features, labelled())['loss_mi_redundancy_likelihood'].backward()
    assert all(weight.grad.any() for weight in loss.parameters())
    assert all(leaf.grad is None or not leaf.grad.any() for leaf in (features.frames, features.aligned, features.fused))


def test_weight_of_the_likelihood_scales_it_and_nothing_else():
    plain, light = (
        build(['redundancy'], likelihood_weight=weight)(clip_features(), labelled()) for weight in (1.0, 0.01)
    )
    name = 'loss_mi_redundancy_likelihood'
    torch.testing.assert_close(light.pop(name), 0.01 * plain.pop(name))
    assert light == plain


def test_fused_map_stands_for_the_supports_where_nothing_is_aligned():
    features = clip_features()._replace(aligned=None)
    for term in ('label_added', 'keep_support'):
        build([term], enhanced='fused')(features, labelled())[f'loss_mi_{term}'].backward()
        assert features.fused.grad.any(), term
        assert features.frames.grad is None
        features.fused.grad = None


def test_no_parameter_is_unused_for_any_choice_of_terms():
    choices = [terms for count in (1, 2, 6) for terms in itertools.combinations(ALL, count)]
    cases = [(terms, 'aligned') for terms in choices]
    cases += [(terms, 'fused') for terms in choices if set(terms) <= set(WITHOUT_ALIGNMENT)]
    for (terms, enhanced), (batch_size, num_frames) in itertools.product(cases, ((3, 3), (1, 1))):
        loss = build(terms, enhanced=enhanced)
        total(loss(clip_features(batch_size, num_frames), labelled(batch_size))).backward()
        unused = [name for name, weight in loss.named_parameters() if weight.grad is None]
        assert not unused, (terms, enhanced, batch_size, num_frames)
        assert all(weight.grad.isfinite().all() for weight in loss.parameters())


def test_one_person_has_no_negatives_and_its_feature_terms_are_zero():
    features = clip_features(1)
    losses = build()(features, labelled(1))
    zero = {name for name, value in losses.items() if value == 0}
    assert zero == {'loss_mi_keep_key', 'loss_mi_keep_support', 'loss_mi_redundancy'}
    total(losses).backward()
    assert features.fused.grad.isfinite().all()


def test_best_prediction_of_the_labels_has_divergence_zero():
    samples = labelled(2)
    distributions, _ = label_distributions(samples, SIZE)
    loss = MutualInformationLoss(K, K, dict(label_fused=1))
    with torch.no_grad():
        loss.estimators['label_fused'].weight.copy_(torch.eye(K)[..., None, None])
        loss.estimators['label_fused'].bias.zero_()
    fused = distributions.clamp(min=1e-12).log()
    frames = fused[:, None]
    features = ClipFeatures(frames=frames, window=FrameWindow.consecutive(2, 1), aligned=None, fused=fused)
    assert abs(loss(features, samples)['loss_mi_label_fused']) < 1e-5
    worse = features._replace(fused=fused.flip(-1))
    assert loss(worse, samples)['loss_mi_label_fused'] > 1


def test_invisible_joints_have_no_influence():
    loss, features, samples = build(ALL[:2] + ALL[4:5]), clip_features(), labelled()
    for sample in samples:
        sample.gt_instance_labels.keypoint_weights[:, 1] = 0
    before = loss(features, samples)
    total(before).backward()
    gradient = loss.estimators['label_fused'].weight.grad
    assert not gradient[1].any()
    assert gradient[0].any()
    for value in (0, 7):
        for sample in samples:
            sample.gt_fields.heatmaps[1] = value
        assert loss(features, samples) == before
    for sample in samples:
        sample.gt_instance_labels.keypoint_weights[:] = 0
    assert not any(loss(features, samples).values())


def test_border_repeats_have_no_influence():
    is_real = [[True, True, True], [False, True, True], [True, True, False], [False, True, False]]
    loss, features = build(), clip_features(is_real=is_real)
    noise = clip_features(is_real=is_real, seed=1)
    real = features.window.support_is_real[..., None, None, None]
    frames = features.frames.detach().clone()
    frames[:, [0, 2]] = torch.where(real, features.supports, noise.supports).detach()
    replaced = features._replace(frames=frames, aligned=torch.where(real, features.aligned, noise.aligned))
    for name, value in loss(replaced, labelled()).items():
        torch.testing.assert_close(value, loss(features, labelled())[name], msg=name)


def test_clips_of_one_person_are_no_negatives_of_each_other():
    samples = [
        SimpleNamespace(metainfo=dict(video=video, track_id=track))
        for video, track in (('a', 1), ('a', 1), ('a', 2), ('b', 1), (None, 1), (None, 1))
    ]
    different = different_people(samples)
    assert not different[0, 1]
    expected = ~torch.eye(6, dtype=torch.bool)
    expected[0, 1] = expected[1, 0] = False
    assert torch.equal(different, expected)


def test_a_batch_of_clips_of_one_person_has_no_negatives():
    samples = labelled()
    for sample in samples:
        sample.set_metainfo(dict(video='a', track_id=3))
    losses = build(['keep_key', 'keep_support', 'redundancy'])(clip_features(), samples)
    assert losses['loss_mi_keep_key'] == losses['loss_mi_keep_support'] == losses['loss_mi_redundancy'] == 0


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize('scale', [1e-6, 1.0, 1.5e4])
def test_mixed_precision_and_extreme_features_give_finite_single_precision(dtype, scale):
    loss, features = build(), clip_features(dtype=dtype, scale=scale)
    with torch.autocast('cpu', torch.bfloat16):
        losses = loss(features, labelled())
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert all(value.isfinite() for value in losses.values())
    total(losses).backward()
    assert all(weight.grad.isfinite().all() for weight in loss.parameters())
    assert features.fused.grad.isfinite().all()


@pytest.mark.parametrize('head', CODECS)
def test_combines_with_any_head_on_a_neck_that_does_not_align(head):
    torch.manual_seed(0)
    config = tiny_model('resnet', head, dict(type='SupportFusionNeck', hidden_channels=16))
    weights = dict.fromkeys(WITHOUT_ALIGNMENT, 0.1)
    config['aux_losses'] = [
        dict(type='MutualInformationLoss', in_channels=64, num_keypoints=K, weights=weights, enhanced='fused')
    ]
    model = MODELS.build(config).train()
    losses = model(**model.data_preprocessor(random_clips(head, 2, 3), True), mode='loss')
    value, logged = model.parse_losses(losses)
    assert {f'loss_mi_{term}' for term in WITHOUT_ALIGNMENT} < set(logged)
    value.backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)


def test_training_keeps_in_the_fused_map_what_the_key_frame_showed():
    """A small map learns to copy through a bottleneck what tells the people apart, from keep_key alone."""
    torch.manual_seed(0)
    neck, loss = nn.Conv2d(C, C, 1), build(['keep_key'])
    optimizer = torch.optim.Adam([*neck.parameters(), *loss.parameters()], lr=1e-2)
    samples, values = labelled(16), []
    for seed in range(60):
        features = clip_features(16, 1, seed=seed, scale=3.0)
        features = features._replace(fused=neck(features.key))
        value = total(loss(features, samples))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert sum(values[-5:]) < 0.3 * sum(values[:5])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(weights=dict(label_fuzed=1)), r"unknown terms \['label_fuzed'\]"),
        (dict(weights=dict(label_fused=-1)), 'weights must be numbers of 0 or above'),
        (dict(weights=dict(label_fused=float('nan'))), 'weights must be numbers of 0 or above'),
        (dict(weights=dict(label_fused='1e-4')), "weights must be numbers of 0 or above, got {'label_fused': '1e-4'}"),
        (dict(weights=dict(label_fused=0)), 'all weights are 0'),
        (dict(temperature=0), 'temperature must be a number above 0, got 0'),
        (dict(temperature=-1.0), 'temperature must be a number above 0'),
        (dict(temperature='0.1'), "temperature must be a number above 0, got '0.1'"),
        (dict(likelihood_weight=0), 'likelihood_weight must be a number above 0'),
        (dict(in_channels=0), 'in_channels must be a positive integer, got 0'),
        (dict(enhanced='warped'), "enhanced must be 'aligned' or 'fused', got 'warped'"),
        (dict(enhanced='fused'), r"\['label_aligned', 'redundancy'\] need enhanced='aligned'"),
    ],
)
def test_wrong_options_are_refused_when_the_model_is_built(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_missing_aligned_maps_name_the_way_out():
    with pytest.raises(ValueError, match="set enhanced='fused'"):
        build()(clip_features()._replace(aligned=None), labelled())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(in_channels=4, fused_channels=C), 'has in_channels=4, but those maps have 6 channels: set in_channels=6'),
        (dict(fused_channels=9), 'has fused_channels=9, but those maps have 6 channels: set fused_channels=6'),
    ],
)
def test_channels_that_do_not_fit_the_maps_are_refused_with_both_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)(clip_features(), labelled())


def test_missing_labels_name_the_sample_and_what_there_is():
    bare = PoseDataSample(metainfo=dict(id=7))
    with pytest.raises(ValueError, match=r'sample 0 \(annotation id 7\) has no label keypoint_weights'):
        build(['label_fused'])(clip_features(1), [bare])
    bare.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, K), keypoint_labels=torch.ones(1, K, 2))
    with pytest.raises(ValueError, match='has no label keypoint_y_labels.*heatmap or SimCC codec'):
        build(['label_fused'])(clip_features(1), [bare])
    bare.gt_fields = PixelData(heatmaps=torch.ones(3 * K, *SIZE))
    with pytest.raises(ValueError, match='one map for each key point'):
        build(['label_fused'])(clip_features(1), [bare])
    with pytest.raises(ValueError, match='num_keypoints=4, the labels have 5'):
        build(['label_fused'], num_keypoints=4)(clip_features(1), labelled(1))


def test_feature_terms_need_no_labels():
    bare = [PoseDataSample(metainfo=dict(id=position)) for position in range(4)]
    assert build(['keep_key', 'keep_support', 'redundancy'])(clip_features(), bare)
