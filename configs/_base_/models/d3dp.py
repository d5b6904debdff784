# D3DP at the paper's size. A training run is watched with one hypothesis in one step; the papers report 20 in 10:
#   --cfg-options model.test_cfg.num_hypotheses=20 model.test_cfg.num_steps=10 model.test_cfg.output_hypotheses=True
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
    ),
    test_cfg=dict(num_steps=1, num_hypotheses=1, seed=0, flip_test=True, hypotheses_per_pass=5),
)
