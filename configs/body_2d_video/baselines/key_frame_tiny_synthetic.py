# The key frame alone: what every use of time is compared with.
_base_ = [
    '../../_base_/schedules/tiny.py',
    '../../_base_/models/tiny_heatmap.py',
    '../../_base_/datasets/synthetic_128x96.py',
]

model = dict(head=dict(decoder=_base_.codec))

key_frame_only = dict(type='SampleClip', offsets=(0,))
train_dataloader = dict(dataset=dict(pipeline=[key_frame_only, *_base_.train_pipeline[1:]]))
val_dataloader = dict(dataset=dict(pipeline=[key_frame_only, *_base_.val_pipeline[1:]]))
test_dataloader = val_dataloader
