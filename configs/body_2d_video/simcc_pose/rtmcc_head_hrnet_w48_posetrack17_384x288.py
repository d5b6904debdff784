# MMPose's RTMCCHead (RTMPose) in the place of its SimCCHead: attention between keypoints before the classifiers.
_base_ = ['./simcc_head_hrnet_w48_posetrack17_384x288.py']

common_options = {name: value for name, value in _base_.model.head.items() if not name.startswith('deconv')}
model = dict(head=dict(common_options, _delete_=True, type='RTMCCHead'))
