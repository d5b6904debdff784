# PoseTrack AP against a folder of official files, and the steadiness of the predictions along the annotated tracks.
#   _base_ = ['../_base_/datasets/posetrack18_256x192.py', '../_base_/evaluation/posetrack_ap.py', ...]
#   val_evaluator = [_base_.posetrack_ap, _base_.temporal_consistency]
posetrack_ap = dict(
    type='PoseTrackAP',
    ann_dir='annotations/val',
    data_root='data/posetrack18/',
    score_mode='bbox_keypoint',
    keypoint_score_thr=0.2,
    nms_mode='oks_nms',
    nms_thr=0.9,
)
temporal_consistency = dict(type='TemporalConsistency', normalize='bbox')
