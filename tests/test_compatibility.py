import sys

import pytest

from mmpose_diffusion import compatibility


def pretend_versions(monkeypatch, **versions):
    real = compatibility.installed_version
    monkeypatch.setattr(compatibility, 'installed_version', lambda name: versions.get(name, real(name)))


def test_tested_environment_has_no_problems():
    assert compatibility.find_problems() == []


@pytest.mark.parametrize(
    ('name', 'version', 'remedy'),
    [
        ('mmcv', '2.2.0', 'mmcv==2.1.0'),
        ('numpy', '2.4.6', 'numpy<2.4'),
        ('torch', '2.15.0', 'torch>=2.1,<2.12'),
        ('torch', '1.13.1', 'torch>=2.1,<2.12'),
        ('mmpose', '0.29.0', 'mmpose==1.3.2'),
    ],
)
def test_unfit_version_is_named_with_the_way_out(monkeypatch, name, version, remedy):
    pretend_versions(monkeypatch, **{name: version})
    with pytest.raises(ImportError, match=f'{name} {version} is installed.*{remedy}'):
        compatibility.check_environment()


def test_local_version_of_a_cuda_build_is_accepted(monkeypatch):
    pretend_versions(monkeypatch, torch='2.11.0+cu130', torchvision='0.26.0+cu130')
    assert compatibility.find_problems() == []


def test_diffusers_too_new_for_an_old_torch_is_explained(monkeypatch):
    pretend_versions(monkeypatch, torch='2.1.2', diffusers='0.36.0')
    with pytest.raises(
        ImportError, match=r'diffusers 0\.36\.0 cannot be imported with torch 2\.1\.2.*diffusers==0\.35\.2'
    ):
        compatibility.check_environment()


def test_all_problems_come_in_one_sentence(monkeypatch):
    pretend_versions(monkeypatch, mmcv=None, timm='0.9.0')
    with pytest.raises(ImportError, match=r'mmcv is not installed.*timm 0\.9\.0 is installed') as caught:
        compatibility.check_environment()
    assert '\n' not in str(caught.value)


def test_missing_pkg_resources_is_explained(monkeypatch):
    real = compatibility.importlib.util.find_spec
    monkeypatch.setattr(
        compatibility.importlib.util, 'find_spec', lambda name: None if name == 'pkg_resources' else real(name)
    )
    with pytest.raises(ImportError, match='setuptools>=77,<81'):
        compatibility.check_environment()


@pytest.mark.parametrize('module', ['mmcv._ext', 'xtcocotools._mask'])
def test_binary_that_cannot_be_imported_is_explained(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)  # import then fails
    with pytest.raises(
        ImportError, match=f'{module} does not fit.*--no-build-isolation.*{module.split(".")[0]}=='
    ) as caught:
        compatibility.check_environment()
    assert '\n' not in str(caught.value)
