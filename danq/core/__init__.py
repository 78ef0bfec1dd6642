"""The CNN-RNN core: blocks that know nothing of what they are used for.

Shapes: ``B`` batch, ``L`` symbols, ``T`` steps, ``F`` features, ``K`` labels, classes or outputs,
``C H W`` channels, height and width of an image, ``N`` tokens, ``S`` symbols of an answer. Every
mask is True at what is real.
"""

from danq.core.attention import AdditiveAttention, AttentionPool
from danq.core.beam import Hypothesis, beam_search, greedy
from danq.core.cnn_rnn import CnnRnn
from danq.core.conv import ConvEncoder, ConvStage, conv_encoder
from danq.core.conv_rnn import ConvRecurrent
from danq.core.ctc import ctc_beam, ctc_greedy, ctc_loss
from danq.core.decoder import DecoderState, SequenceDecoder
from danq.core.embedding import Embedding
from danq.core.encoders import ColumnEncoder, FeatureEncoder, TokenEncoder
from danq.core.forecast import EncoderForecaster, FrameForecaster
from danq.core.frame import ClipEncoder, FrameEncoder, without_classifier
from danq.core.freezing import Freezable, freezable
from danq.core.fusion import Concat, LateFusion, Multiply, Streams
from danq.core.heads import Classes, DensePixel, Mlp, MultiLabel, PerStep, Vote
from danq.core.kernel_attention import KernelAttention
from danq.core.losses import (
    contrastive_loss,
    doubly_stochastic,
    refinement_loss,
    step_cross_entropy,
    step_regression,
    triplet_loss,
)
from danq.core.masks import lengths_mask, masked_mean
from danq.core.one_hot_conv import OneHotConv, one_hot
from danq.core.pooling import Flatten, Last, Max, Mean
from danq.core.recurrent import Recurrent
from danq.core.refine import Refine
from danq.core.regions import RegionAlign
from danq.core.sizes import features_of
from danq.core.spatial import GlobalPool, clip_tokens, map_tokens
from danq.core.tcn import Tcn, TcnBlock, tcn_blocks

__all__ = [
    "AdditiveAttention",
    "AttentionPool",
    "Classes",
    "ClipEncoder",
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
    "Max",
    "Mean",
    "Mlp",
    "MultiLabel",
    "Multiply",
    "OneHotConv",
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
    "ctc_beam",
    "ctc_greedy",
    "ctc_loss",
    "doubly_stochastic",
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
