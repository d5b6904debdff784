# As the released code computes, for its weights, which bring CLIP along.
_base_ = ['./finepose_human36m_gt_243frames.py']

model = dict(head=dict(denoiser=dict(compat=True, text_encoder=dict(weights=None))))
