# A neck of your own: import its file and name it. Everything else is inherited.
_base_ = ['./support_fusion_rtmcc_tiny_synthetic.py']

custom_imports = dict(imports=['mmpose_diffusion', 'projects.your_own_neck.recency_neck'], allow_failed_imports=False)

model = dict(temporal_neck=dict(_delete_=True, type='RecencyNeck', in_channels=128))
