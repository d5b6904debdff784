# D3DP for one processor core: 27 frames, 0.2 million weights.
_base_ = ['./d3dp.py']

model = dict(
    head=dict(
        denoiser=dict(num_frames=27, width=64, depth=3, num_heads=4, drop_path=0.0),
        # Not as published: with a weak signal and noise that fades out, minutes of training get further.
        signal=dict(scale=0.4, spread=0.3),
    ),
    test_cfg=dict(num_steps=5, num_hypotheses=5, hypotheses_per_pass=None),
)
