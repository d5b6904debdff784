# A cell of this map is 16 pixels wide: neighbouring taps are far enough apart.
_base_ = [
    '../../_base_/schedules/adamw_layer_decay_20e.py',
    '../../_base_/models/vit_base_heatmap.py',
    '../../_base_/models/fami_pose_mutual_information.py',
    '../../_base_/datasets/posetrack18_256x192.py',
]

model = dict(
    temporal_neck=dict(type='FeatureAlignmentNeck', dilation=1, hidden_channels=128),
    head=dict(decoder=_base_.codec),
    aux_losses=[dict(_base_.mutual_information, in_channels=768)],
)

load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-base_8xb64-210e_coco-256x192-216eae50_20230314.pth'
