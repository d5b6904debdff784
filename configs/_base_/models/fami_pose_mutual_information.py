# FAMI-Pose's mutual information loss, for temporal necks that align. A config that inherits this hangs it on its model:
#   model = dict(aux_losses=[dict(_base_.mutual_information, in_channels=48)])
# The weights make each term's gradient about a twentieth to a fifth of that of a heatmap MSE of 1e-3 to 1e-2, less for
# redundancy, which is the term least to be trusted; docs/mutual_information.md says what each one bounds.
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
