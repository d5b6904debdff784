# As the released code computes, for its weights, which bring CLIP along.
_base_ = ['./finepose_mpi_inf_3dhp_243frames.py']

model = dict(head=dict(denoiser=dict(compat=True, text_encoder=dict(weights=None))))

# One clip at a time, as its texts mix those of a batch up; padded and shared frames count as in its scores.
val_dataloader = dict(batch_size=1)
test_dataloader = val_dataloader
val_evaluator = dict(count_repeats=True)
test_evaluator = val_evaluator
