_base_ = [
    '../../_base_/schedules/adam_20e.py',
    '../../_base_/models/hrnet_w48_heatmap.py',
    '../../_base_/datasets/posetrack18_384x288.py',
]

model = dict(head=dict(decoder=_base_.codec))

key_frame_only = dict(type='SampleClip', offsets=(0,))
train_dataloader = dict(dataset=dict(pipeline=[key_frame_only, *_base_.train_pipeline[1:]]))
val_dataloader = dict(dataset=dict(pipeline=[key_frame_only, *_base_.val_pipeline[1:]]))
test_dataloader = val_dataloader

load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-384x288-c161b7de_20220915.pth'
