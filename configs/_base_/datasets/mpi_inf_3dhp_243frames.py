# MPI-INF-3DHP, true 2D input: data/mpi_inf_3dhp/{data_train_3dhp_ori,data_test_3dhp_ori}.npz, as D3DP and FinePOSE name them.
data_mode = 'topdown'
dataset_type = 'MPIINF3DHPSequenceDataset'
data_root = 'data/mpi_inf_3dhp/'

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
        ann_file='data_train_3dhp_ori.npz',
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
        ann_file='data_test_3dhp_ori.npz',
        num_frames=num_frames,
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='MultiHypothesisMPJPE')
test_evaluator = val_evaluator
