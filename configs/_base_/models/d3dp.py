# D3DP (ICCV 2023) at the size of the paper: 34.8 million weights.
# For the paper's scores test with more: --cfg-options model.test_cfg.num_steps=10 model.test_cfg.num_hypotheses=20
model = dict(
    type='DiffusionPoseLifter',
    head=dict(
        type='DiffusionPoseHead',
        denoiser=dict(
            type='PoseSequenceDenoiser',
            num_frames=243,
            num_joints=17,
            width=512,
            depth=8,
            num_heads=8,
            mlp_ratio=2,
            drop_path=0.1,
        ),
        scheduler=dict(type='DDIMScheduler', beta_schedule='squaredcos_cap_v2', prediction_type='sample', eta=1.0),
        signal=dict(scale=1.0, clamp=1.1),
        aggregator=dict(type='MeanCoordinates'),
        loss=dict(type='MPJPELoss'),
    ),
    test_cfg=dict(
        num_steps=1,
        num_hypotheses=1,
        seed=0,
        flip_test=True,
        output_hypotheses=True,
        hypotheses_per_pass=5,  # 20 hypotheses of 4 clips stay below 4 GB
    ),
)
