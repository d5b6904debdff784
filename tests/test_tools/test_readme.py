import re

import pytest
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from .conftest import ROOT


def read(name):
    return (ROOT / name).read_text()


def test_config_of_the_readme_trains(tmp_path, world):
    (code,) = re.findall(r'```python\n(.*?)```', read('README.md'), flags=re.DOTALL)
    path = tmp_path / 'my_config.py'
    path.write_text(code.replace("'configs/", f"'{ROOT}/configs/"))
    config = Config.fromfile(path)
    init_default_scope('mmpose')
    config.train_dataloader.dataset.data_root = f'{world}/'
    dataset = DATASETS.build(config.train_dataloader.dataset)
    model = MODELS.build(config.model)
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
    loss, _ = model.parse_losses(model(**batch, mode='loss'))
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    'page', ['README.md', 'CONTRIBUTING.md', *(f'docs/{p.name}' for p in (ROOT / 'docs').glob('*.md'))]
)
def test_links_lead_somewhere(page):
    for target in re.findall(r'\]\(([^)#]+)[^)]*\)', read(page)):
        if not target.startswith('http'):
            assert ((ROOT / page).parent / target).exists(), f'{page} links to {target}'
