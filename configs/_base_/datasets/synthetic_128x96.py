# The synthetic world at a size for two processor cores:
#   python tools/dataset_tools/make_synthetic.py data/synthetic --split train
#   python tools/dataset_tools/make_synthetic.py data/synthetic --split val
_base_ = ['./posetrack18_256x192.py']

data_root = 'data/synthetic/'

frame_offsets = (-1, 0, 1)
codec = dict(type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5)
val_workers = 1

clip_loading = [
    dict(type='SampleClip', offsets=frame_offsets),
    dict(type='LoadClip', cache_megabytes=32),
    dict(type='GetBBoxCenterScale', padding=1.25),
]
# Milder than for PoseTrack: a model that trains for minutes cannot make up for much.
augmentation = [
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_factor=0.1, scale_factor=(0.8, 1.25), rotate_factor=20),
]
train_pipeline = [
    *clip_loading,
    *augmentation,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackClipInputs'),
]
val_pipeline = [
    *clip_loading,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackClipInputs'),
]

# Many small steps: a training of minutes is short of steps, not of clips.
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=val_workers,
    batch_sampler=dict(num_workers=val_workers),
    dataset=dict(data_root=data_root, pipeline=val_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(data_root=data_root)
test_evaluator = val_evaluator
