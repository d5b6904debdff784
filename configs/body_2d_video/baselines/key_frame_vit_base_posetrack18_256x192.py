_base_ = [
    '../../_base_/schedules/adamw_layer_decay_20e.py',
    '../../_base_/models/vit_base_heatmap.py',
    '../../_base_/datasets/posetrack18_256x192.py',
]

model = dict(head=dict(decoder=_base_.codec))

key_frame_only = dict(type='SampleClip', offsets=(0,))
train_dataloader = dict(dataset=dict(pipeline=[key_frame_only, *_base_.train_pipeline[1:]]))
val_dataloader = dict(dataset=dict(pipeline=[key_frame_only, *_base_.val_pipeline[1:]]))
test_dataloader = val_dataloader

load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-base_8xb64-210e_coco-256x192-216eae50_20230314.pth'
