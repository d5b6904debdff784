_base_ = [
    '../../_base_/schedules/fami_pose_adam_20e.py',
    '../../_base_/models/simcc_pose_hrnet_w48.py',
    '../../_base_/datasets/posetrack21_384x288.py',
]

heatmap_and_simcc = dict(type='HeatmapSimCCLabel', heatmap=_base_.codec, simcc=_base_.simcc)
train_pipeline = [
    *_base_.train_pipeline[:-2],
    dict(type='GenerateTarget', encoder=heatmap_and_simcc),
    dict(type='PackClipInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(head=dict(decoder=heatmap_and_simcc))

load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-384x288-c161b7de_20220915.pth'
