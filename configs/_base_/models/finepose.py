# FinePOSE at the paper's size: D3DP with prompts, read by CLIP.
_base_ = ['./d3dp.py']

# (text, learnable vectors in front of it): with four tokens for each text, the 77 tokens that CLIP reads.
prompts = [
    ('A person', 3),
    ('{action}', 8),
    ('speed', 6),
    ('head', 6),
    ('body', 6),
    ('arm', 10),
    ('leg', 10),
]
model = dict(
    head=dict(
        denoiser=dict(
            type='PromptedPoseDenoiser',
            prompts=prompts,
            text_encoder=dict(type='CLIPTextEncoder', weights='openai'),
        )
    )
)
