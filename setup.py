from setuptools import find_packages, setup
setup(name='mmpose_diffusion', version='0.1.0', packages=find_packages(include=['mmpose_diffusion*']))
