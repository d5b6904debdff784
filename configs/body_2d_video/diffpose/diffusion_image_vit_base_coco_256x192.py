# Image diffusion pose: the diffusion head on MMPose's own single-image estimator, trained on COCO.
_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-base_8xb64-210e_coco-256x192.py']

custom_imports = dict(imports=['mmpose_diffusion'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmVisionTransformer',
        arch='b',
        img_size=(256, 192),
        drop_path_rate=0.3,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/mae_pretrain_vit_base_20230913.pth',
        ),
    ),
    head=dict(
        _delete_=True,
        type='DiffusionHeatmapHead',
        in_channels=768,
        out_channels=17,
        denoiser=dict(type='HeatmapDenoiser', upsample_factor=4),
        signal=dict(scale=1.0, clamp=1.1),
        decoder=_base_.codec,
    ),
    test_cfg=dict(num_steps=1, num_hypotheses=1, seed=0),
)
# MMPose's hook, and one that gives every process and epoch noise of its own.
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='EpochSeedHook')]
optim_wrapper = dict(
    constructor='VisionTransformerLayerDecay',
    paramwise_cfg=dict(_delete_=True, layer_decay_rate=0.75),
)
