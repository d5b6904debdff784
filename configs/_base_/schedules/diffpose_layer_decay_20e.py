# The same for a vision transformer: the nearer to the image, the slower a layer learns.
_base_ = ['./diffpose_adamw_20e.py']

optim_wrapper = dict(constructor='VisionTransformerLayerDecay', paramwise_cfg=dict(layer_decay_rate=0.75))
