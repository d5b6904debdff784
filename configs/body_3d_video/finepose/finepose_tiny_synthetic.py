# FinePOSE for two processor cores: the network of d3dp_tiny_synthetic with prompts from a learned table.
_base_ = ['../d3dp/d3dp_tiny_synthetic.py']

# (text, learnable vectors in front of it)
prompts = [('A person', 1), ('{action}', 4), ('speed', 2), ('head', 2), ('body', 2), ('arm', 2), ('leg', 2)]
texts = [
    *('Walking', 'Running', 'Waving', 'Jumping', 'Squatting', 'Boxing', 'Dancing', 'SittingDown', 'Throwing'),
    *('JumpingJacks', 'Kicking', 'Stretching'),
    *('A person', 'speed', 'head', 'body', 'arm', 'leg'),
]
model = dict(
    head=dict(
        denoiser=dict(
            type='PromptedPoseDenoiser',
            prompts=prompts,
            text_encoder=dict(type='LearnedPromptTable', texts=texts, width=64),
            text_layers=1,
            text_heads=4,
        )
    )
)
