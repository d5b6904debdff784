# SimCC-Pose's losses beside that of the coordinate classes: its heatmaps weigh 20 times as much as those do, and the mutual
# information, whose weights are for heatmaps of weight 1, goes with the heatmaps. A config that inherits this sets
#   model = dict(
#       head=dict(loss=dict(loss_weight=_base_.heatmap_weight)),
#       aux_losses=[dict(_base_.scaled_mutual_information, in_channels=48)])
_base_ = ['./fami_pose_mutual_information.py']

heatmap_weight = 20.0
mutual_information_weights = {
    term: heatmap_weight * weight for term, weight in _base_.mutual_information.weights.items()
}
scaled_mutual_information = dict(_base_.mutual_information, weights=mutual_information_weights)
