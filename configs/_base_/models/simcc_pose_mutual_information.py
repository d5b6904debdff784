# SimCC-Pose's losses beside that of the coordinate classes, which is in nats: what its heatmaps' MSE weighs, and the mutual
# information, whose weights are for heatmaps of weight 1, goes with the heatmaps. A config that inherits this sets
#   model = dict(
#       head=dict(loss=dict(loss_weight=_base_.heatmap_weight)),
#       aux_losses=[dict(_base_.scaled_mutual_information, in_channels=48)])
_base_ = ['./fami_pose_mutual_information.py']

# Fitted as 20 beside a sum over 8 people and mean over 192 and 256 bins (tiny, k = 2): 20 * 2 / (8 / 192 + 8 / 256) = 549
heatmap_weight = 550.0
mutual_information_weights = {
    term: heatmap_weight * weight for term, weight in _base_.mutual_information.weights.items()
}
scaled_mutual_information = dict(_base_.mutual_information, weights=mutual_information_weights)
