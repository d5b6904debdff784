# 2D poses of an imagined detector -> 3D poses, in a synthetic world in the layout of VideoPose3D:
#   python tools/dataset_tools/make_synthetic.py data/synthetic_motions --split train --videos 0
#   python tools/dataset_tools/make_synthetic.py data/synthetic_motions --split val --videos 0
data_mode = 'topdown'
dataset_type = 'Human36mSequenceDataset'
data_root = 'data/synthetic_motions/'

num_frames = 27
pipeline = [dict(type='PackPoseSequence')]

train_dataloader = dict(
    worker_init_fn=dict(type='seed_worker_from_epoch'),
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='videopose3d_train.npz',
        keypoints_2d_file='videopose3d_train_detected.npz',
        num_frames=num_frames,
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='videopose3d_val.npz',
        keypoints_2d_file='videopose3d_val_detected.npz',
        num_frames=num_frames,
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='MultiHypothesisMPJPE')
test_evaluator = val_evaluator
