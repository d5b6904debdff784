_base_ = ['mmpose::_base_/default_runtime.py']

custom_imports = dict(imports=['mmpose_diffusion'], allow_failed_imports=False)

# Checkpoints appear whole or not at all.
default_hooks = dict(checkpoint=dict(backend_args=dict(backend='atomic_local')))
