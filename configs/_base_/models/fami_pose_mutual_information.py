# FAMI-Pose's mutual information loss, for temporal necks that align. A config that inherits this hangs it on its model:
#   model = dict(aux_losses=[dict(_base_.mutual_information, in_channels=48)])
# The weights are for heatmaps whose MSE weighs 1. They let the label terms have a say in the neck, which they are about,
# and less in the whole model. Length of the gradient of the three label terms together, as a share of that plus the
# length of the heatmap loss's, on fami_pose_tiny_synthetic (one seed, one batch of 8 clips after 0, 10, 20, 40 steps):
#   over the neck's parameters 8, 49, 29, 85 %; over all parameters 0.3, 2.7, 1.7, 20 %.
# Of the feature terms together: 0.5, 4, 14, 17 % and 0.03, 0.1, 0.9, 1.3 %; redundancy, the term least to be trusted, has
# the smallest weight. docs/mutual_information.md says what each term bounds.
mutual_information = dict(
    type='MutualInformationLoss',
    num_keypoints=17,
    temperature=0.1,
    weights=dict(
        label_fused=1e-4,
        label_aligned=1e-4,
        label_added=1e-4,
        keep_key=3e-5,
        keep_support=3e-5,
        redundancy=1e-7,
    ),
)
