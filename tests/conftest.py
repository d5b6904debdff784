import mmpose_diffusion  # noqa: F401  registers everything
