"""What happens around the models: checkpoint files, distributed start, optimizers."""

from .checkpoint_files import AtomicLocalBackend, install_allow_list, load_checkpoint_file
from .epoch_seeds import EpochSeedHook, seed_worker_from_epoch
from .launch import build_runner, find_config, load_config, load_strictly, merge_options
from .layer_decay import VisionTransformerLayerDecay
from .model_weights import load_weights

install_allow_list()

__all__ = [
    'AtomicLocalBackend',
    'EpochSeedHook',
    'VisionTransformerLayerDecay',
    'build_runner',
    'find_config',
    'install_allow_list',
    'load_checkpoint_file',
    'load_config',
    'load_strictly',
    'load_weights',
    'merge_options',
    'seed_worker_from_epoch',
]
