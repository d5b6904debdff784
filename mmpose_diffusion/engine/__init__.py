"""What happens around the models: checkpoint files, distributed start, optimizers."""

from .checkpoint_files import AtomicLocalBackend, install_allow_list, load_checkpoint_file
from .launch import build_runner, find_config, load_config
from .layer_decay import VisionTransformerLayerDecay

install_allow_list()

__all__ = [
    'AtomicLocalBackend',
    'VisionTransformerLayerDecay',
    'build_runner',
    'find_config',
    'install_allow_list',
    'load_checkpoint_file',
    'load_config',
]
