"""Parts of video pose estimators, registered in MMPose."""

from .backbones import TimmVisionTransformer
from .data_preprocessors import VideoPoseDataPreprocessor
from .denoisers import (
    BaseDenoiser,
    BaseHeatmapDenoiser,
    BasePoseDenoiser,
    HeatmapDenoiser,
    PoseSequenceDenoiser,
    PromptedPoseDenoiser,
)
from .estimators import DiffusionPoseLifter, VideoTopdownPoseEstimator
from .heads import DiffusionHeatmapHead, DiffusionPoseHead, PoseRegressionHead, ResidualSimCCHead
from .hypothesis_aggregators import BestAgreement, HypothesisAggregator, MeanCoordinates, MeanHeatmap, MedianCoordinates
from .losses import AuxiliaryHead, MutualInformationLoss
from .necks import (
    FeatureAlignmentNeck,
    KeyFrameNeck,
    SpatioTemporalRepresentationLearner,
    SupportFusionNeck,
    TemporalNeck,
)
from .pose_sequence_network import PoseSequenceNetwork
from .pose_sequence_tcn import PoseSequenceTCN
from .pose_sequence_transformer import PoseSequenceTransformer
from .text_encoders import BaseTextEncoder, CLIPTextEncoder, LearnedPromptTable, PromptEmbeddingFile

__all__ = [
    'AuxiliaryHead',
    'BaseDenoiser',
    'BaseHeatmapDenoiser',
    'BasePoseDenoiser',
    'BaseTextEncoder',
    'BestAgreement',
    'CLIPTextEncoder',
    'DiffusionHeatmapHead',
    'DiffusionPoseHead',
    'DiffusionPoseLifter',
    'FeatureAlignmentNeck',
    'HeatmapDenoiser',
    'HypothesisAggregator',
    'KeyFrameNeck',
    'LearnedPromptTable',
    'MeanCoordinates',
    'MeanHeatmap',
    'MedianCoordinates',
    'MutualInformationLoss',
    'PoseRegressionHead',
    'PoseSequenceDenoiser',
    'PoseSequenceNetwork',
    'PoseSequenceTCN',
    'PoseSequenceTransformer',
    'PromptEmbeddingFile',
    'PromptedPoseDenoiser',
    'ResidualSimCCHead',
    'SpatioTemporalRepresentationLearner',
    'SupportFusionNeck',
    'TemporalNeck',
    'TimmVisionTransformer',
    'VideoPoseDataPreprocessor',
    'VideoTopdownPoseEstimator',
]
