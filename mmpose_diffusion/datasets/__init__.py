"""Video data: which frames make a clip, data sets of clips, transforms, samplers. Importing it registers them."""

from . import samplers, transforms

__all__ = ['samplers', 'transforms']
