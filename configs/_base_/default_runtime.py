_base_ = ['mmpose::_base_/default_runtime.py']

custom_imports = dict(imports=['mmpose_diffusion'], allow_failed_imports=False)

# Augmentations and noise differ in every epoch, and are the same in a run that was interrupted and resumed.
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='EpochSeedHook')]

# The log reaches to the end of every epoch, and so do curves and times that are read from it.
default_hooks = dict(logger=dict(ignore_last=False))
