"""The CNN-RNN core: blocks that are independent of any task.

Shapes: ``B`` batch, ``L`` symbols, ``T`` steps, ``F`` features, ``K`` labels, classes or outputs,
``C H W`` channels, height and width of an image, ``N`` tokens, ``S`` symbols of a generated
sequence. A mask is True at real positions and False at padding.
"""

from danq.core.attention import AdditiveAttention, AttentionPool
from danq.core.block_interface import features_of
from danq.core.cnn_rnn import CnnRnn
from danq.core.column_encoder import ColumnEncoder
from danq.core.conv_recurrent import ConvRecurrent
from danq.core.convolutional_encoder import (
    ConvEncoder,
    ConvStage,
    NormalisedEncoder,
    conv_encoder,
)
from danq.core.ctc import ctc_greedy, ctc_loss
from danq.core.feature_encoder import FeatureEncoder
from danq.core.frame_forecaster import EncoderForecaster, FrameForecaster
from danq.core.freezing import Freezable, freezable
from danq.core.fusion import Concat, LateFusion, LowRankBilinear, Multiply, Streams
from danq.core.greedy_and_beam_search import Hypothesis, beam_search, greedy
from danq.core.heads import Classes, DensePixel, Embedding, Mlp, MultiLabel, PerStep, Vote
from danq.core.kernel_attention import KernelAttention
from danq.core.losses import (
    contrastive_loss,
    refinement_loss,
    step_cross_entropy,
    step_regression,
    triplet_loss,
)
from danq.core.map_pooling import GlobalPool, clip_tokens, map_tokens
from danq.core.masks import lengths_mask, masked_mean
from danq.core.one_hot_conv import BothStrandsConv, OneHotConv, one_hot
from danq.core.padded_sequences import PaddedCnnRnn
from danq.core.pooling import Flatten, Last, Max, Mean, MeanMax
from danq.core.recurrent import Recurrent
from danq.core.refinement import ClipRefine, Refine
from danq.core.region_align import RegionAlign
from danq.core.sequence_decoder import DecoderState, MeanStates, SequenceDecoder
from danq.core.tcn import Tcn, TcnBlock, tcn_blocks
from danq.core.token_encoder import TokenEncoder
from danq.core.video_encoders import ClipEncoder, FrameEncoder, without_classifier

__all__ = [
    "AdditiveAttention",
    "AttentionPool",
    "BothStrandsConv",
    "Classes",
    "ClipEncoder",
    "ClipRefine",
    "CnnRnn",
    "ColumnEncoder",
    "Concat",
    "ConvEncoder",
    "ConvRecurrent",
    "ConvStage",
    "DecoderState",
    "DensePixel",
    "Embedding",
    "EncoderForecaster",
    "FeatureEncoder",
    "Flatten",
    "FrameEncoder",
    "FrameForecaster",
    "Freezable",
    "GlobalPool",
    "Hypothesis",
    "KernelAttention",
    "Last",
    "LateFusion",
    "LowRankBilinear",
    "Max",
    "Mean",
    "MeanMax",
    "MeanStates",
    "Mlp",
    "MultiLabel",
    "Multiply",
    "NormalisedEncoder",
    "OneHotConv",
    "PaddedCnnRnn",
    "PerStep",
    "Recurrent",
    "Refine",
    "RegionAlign",
    "SequenceDecoder",
    "Streams",
    "Tcn",
    "TcnBlock",
    "TokenEncoder",
    "Vote",
    "beam_search",
    "clip_tokens",
    "contrastive_loss",
    "conv_encoder",
    "ctc_greedy",
    "ctc_loss",
    "features_of",
    "freezable",
    "greedy",
    "lengths_mask",
    "map_tokens",
    "masked_mean",
    "one_hot",
    "refinement_loss",
    "step_cross_entropy",
    "step_regression",
    "tcn_blocks",
    "triplet_loss",
    "without_classifier",
]
