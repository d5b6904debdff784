# PoseTrack21 as it comes: images/{train,val} and posetrack_data/{train,val}.
_base_ = ['./posetrack18_256x192.py']

data_root = 'data/posetrack21/'

train_dataloader = dict(dataset=dict(data_root=data_root, ann_file='posetrack_data/train'))
val_dataloader = dict(dataset=dict(data_root=data_root, ann_file='posetrack_data/val'))
test_dataloader = val_dataloader

val_evaluator = dict(ann_dir='posetrack_data/val', data_root=data_root)
test_evaluator = val_evaluator
