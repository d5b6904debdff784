import pytest
from mmengine.registry import init_default_scope

import mmpose_diffusion  # noqa: F401  registers everything


@pytest.fixture(autouse=True)
def mmpose_scope():
    """Names in configs are MMPose's, as under its runner, whatever scope an earlier test has left behind."""
    init_default_scope('mmpose')
