# MMPose's temporal convolutions at the size of D3DP's tiny network (0.2 million weights), trained on as many clips, of
# which batch normalisation wants more at a time than attention does.
_base_ = ['./regression_tiny_synthetic.py']

model = dict(
    head=dict(trunk=dict(_delete_=True, type='PoseSequenceTCN', num_frames=27, num_joints=17, width=150, dropout=0.1))
)
train_dataloader = dict(batch_size=16)
