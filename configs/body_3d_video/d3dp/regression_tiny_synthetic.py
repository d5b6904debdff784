# The trunk of D3DP without diffusion, at the same size and trained as long: what diffusion has to beat.
_base_ = ['./d3dp_tiny_synthetic.py']

model = dict(
    head=dict(
        _delete_=True,
        type='PoseRegressionHead',
        trunk=dict(num_frames=27, num_joints=17, width=64, depth=3, num_heads=4, mlp_ratio=2, drop_path=0.0),
        loss=dict(type='MPJPELoss'),
    ),
    test_cfg=dict(_delete_=True, flip_test=True),
)
