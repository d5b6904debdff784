_base_ = [
    '../../_base_/schedules/fami_pose_adam_20e.py',
    '../../_base_/models/fami_pose_hrnet_w48.py',
    '../../_base_/datasets/posetrack21_384x288.py',
]

model = dict(head=dict(decoder=_base_.codec))

load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-384x288-c161b7de_20220915.pth'
