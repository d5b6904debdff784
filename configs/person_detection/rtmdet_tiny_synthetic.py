# A person detector for the synthetic world, trained from nothing in minutes on two processor cores:
#   python tools/train.py rtmdet_tiny_synthetic
_base_ = ['mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py']

# MMDetection's names are meant unless `mmpose.` stands before them.
default_scope = 'mmdet'
custom_imports = dict(imports=['mmpose_diffusion'], allow_failed_imports=False)

dataset_type = 'mmpose.PoseTrackDetectionDataset'
data_root = 'data/synthetic/'
image_size = (256, 160)  # (width, height)

norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(widen_factor=0.125, norm_cfg=norm_cfg, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128], out_channels=32, norm_cfg=norm_cfg),
    bbox_head=dict(num_classes=1, in_channels=32, feat_channels=32, norm_cfg=norm_cfg),
    test_cfg=dict(nms_pre=1000, score_thr=0.05, nms=dict(iou_threshold=0.6), max_per_img=100),
)

pad = dict(type='Pad', size=image_size, pad_val=dict(img=(114, 114, 114)))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=image_size, ratio_range=(0.8, 1.4), keep_ratio=True),
    dict(type='RandomCrop', crop_size=image_size),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=0.5),
    pad,
    dict(type='PackDetInputs'),
]
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=True),
    pad,
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        # `instances`: the annotated boxes, for the metric.
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'),
    ),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=False,
    pin_memory=False,
    worker_init_fn=dict(type='seed_worker_from_epoch'),
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/train',
        data_prefix=dict(img=''),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/val',
        data_prefix=dict(img=''),
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='CocoMetric', metric='bbox')
test_evaluator = val_evaluator

max_epochs = 4
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=2e-3), clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=max_epochs, eta_min=2e-5, by_epoch=True, convert_to_iter_based=True),
]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=1, max_keep_ckpts=2))
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='mmpose.EpochSeedHook')]
randomness = dict(seed=0)
