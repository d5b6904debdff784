# COCO-style AP from object keypoint similarity (OKS), by MMPose's own metric.
#   _base_ = ['../_base_/datasets/posetrack18_256x192.py', '../_base_/evaluation/coco_oks.py', ...]
#   val_evaluator = [_base_.val_evaluator, _base_.coco_oks]
# Without ann_file the ground truth comes from the samples: right for annotated boxes. For a detector's boxes set ann_file to
# a merged file (tools/dataset_tools/merge_posetrack.py): it also holds the people that the detector has missed.
coco_oks = dict(
    type='CocoMetric',
    use_area=True,
    score_mode='bbox_keypoint',
    keypoint_score_thr=0.2,
    nms_mode='oks_nms',
    nms_thr=0.9,
)
