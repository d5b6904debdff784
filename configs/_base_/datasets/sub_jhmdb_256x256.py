# sub-JHMDB, split 1, from the official Matlab files: data/jhmdb/{Rename_Images,joint_positions,puppet_mask,sub_splits}.
_base_ = ['./posetrack18_256x192.py']

dataset_type = 'SubJHMDBVideoDataset'
data_root = 'data/jhmdb/'

codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2)

train_pipeline = [
    *_base_.clip_loading,
    *_base_.augmentation,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackClipInputs'),
]
val_pipeline = [
    *_base_.clip_loading,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackClipInputs'),
]
jhmdb = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='joint_positions',
    split_dir='sub_splits',
    mask_dir='puppet_mask',
    split=1,
    data_prefix=dict(img='Rename_Images'),
)

train_dataloader = dict(dataset=dict(subset='train', pipeline=train_pipeline, **jhmdb))
val_dataloader = dict(dataset=dict(subset='test', pipeline=val_pipeline, **jhmdb))
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='JhmdbPCKAccuracy', thr=0.2, norm_item=['bbox', 'torso'])
test_evaluator = val_evaluator
