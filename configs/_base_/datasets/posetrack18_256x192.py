# Clips of PoseTrack18 in the official layout: data/posetrack18/{images,annotations}/{train,val}.
# Scored on annotated boxes; for a detector's boxes set test_dataloader.dataset.bbox_file and filter_cfg.
data_mode = 'topdown'
dataset_type = 'PoseTrackVideoDataset'
data_root = 'data/posetrack18/'

frame_offsets = (-2, -1, 0, 1, 2)
codec = dict(type='MSRAHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
val_workers = 4

clip_loading = [
    dict(type='SampleClip', offsets=frame_offsets),
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
]
augmentation = [
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(type='RandomBBoxTransform', scale_factor=(0.65, 1.35), rotate_factor=45),
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

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,  # new workers, seeded anew, in every epoch: a resumed run then continues exactly
    worker_init_fn=dict(type='seed_worker_from_epoch'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        ann_file='annotations/train',
        data_prefix=dict(img=''),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=val_workers,
    persistent_workers=True,
    sampler=dict(type='ContiguousSampler'),
    batch_sampler=dict(type='ContiguousBatchSampler', num_workers=val_workers),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        ann_file='annotations/val',
        data_prefix=dict(img=''),
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='PoseTrackAP', ann_dir='annotations/val', data_root=data_root)
test_evaluator = val_evaluator
