_base_ = [
    '../../_base_/schedules/diffpose_layer_decay_20e.py',
    '../../_base_/models/diffpose_vit_base.py',
    '../../_base_/datasets/posetrack18_384x288.py',
]

model = dict(
    backbone=dict(img_size=(384, 288)),
    temporal_neck=dict(feature_size=(18, 24)),
    head=dict(decoder=_base_.codec),
)

load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-base_8xb64-210e_coco-256x192-216eae50_20230314.pth'
