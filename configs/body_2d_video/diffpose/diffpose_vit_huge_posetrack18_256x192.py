_base_ = ['./diffpose_vit_base_posetrack18_256x192.py']

model = dict(backbone=dict(arch='h', drop_path_rate=0.55), temporal_neck=dict(in_channels=1280))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
train_dataloader = dict(batch_size=8)

load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-huge_8xb64-210e_coco-256x192-e32adcd4_20230314.pth'
