# Human3.6M in the layout of VideoPose3D, 2D input from CPN: data/human36m/{data_3d_h36m,data_2d_h36m_cpn_ft_h36m_dbb}.npz.
# The cameras, once: python tools/dataset_tools/make_human36m_cameras.py metadata.xml data/human36m/cameras.json
data_mode = 'topdown'
dataset_type = 'Human36mSequenceDataset'
data_root = 'data/human36m/'
keypoints_2d_file = 'data_2d_h36m_cpn_ft_h36m_dbb.npz'

num_frames = 243
pipeline = [dict(type='PackPoseSequence')]

train_dataloader = dict(
    worker_init_fn=dict(type='seed_worker_from_epoch'),
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='data_3d_h36m.npz',
        keypoints_2d_file=keypoints_2d_file,
        camera_file='cameras.json',
        subjects=('S1', 'S5', 'S6', 'S7', 'S8'),
        num_frames=num_frames,
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='data_3d_h36m.npz',
        keypoints_2d_file=keypoints_2d_file,
        camera_file='cameras.json',
        subjects=('S9', 'S11'),
        num_frames=num_frames,
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='MultiHypothesisMPJPE')
test_evaluator = val_evaluator
