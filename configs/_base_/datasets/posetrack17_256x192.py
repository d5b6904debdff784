# PoseTrack17, its annotations converted by tools/dataset_tools/convert_posetrack17.py into annotations18/{train,val}.
_base_ = ['./posetrack18_256x192.py']

data_root = 'data/posetrack17/'

train_dataloader = dict(dataset=dict(data_root=data_root, ann_file='annotations18/train'))
val_dataloader = dict(dataset=dict(data_root=data_root, ann_file='annotations18/val'))
test_dataloader = val_dataloader

val_evaluator = dict(ann_dir='annotations18/val', data_root=data_root)
test_evaluator = val_evaluator
