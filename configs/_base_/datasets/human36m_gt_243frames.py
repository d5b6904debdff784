# As human36m_243frames.py, with the projections of the true poses as 2D input.
_base_ = ['./human36m_243frames.py']

keypoints_2d_file = 'data_2d_h36m_gt.npz'
train_dataloader = dict(dataset=dict(keypoints_2d_file=keypoints_2d_file))
val_dataloader = dict(dataset=dict(keypoints_2d_file=keypoints_2d_file))
test_dataloader = val_dataloader
