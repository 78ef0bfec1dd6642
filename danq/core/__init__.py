"""The CNN-RNN core: blocks that know nothing of what they are used for.

Shapes: ``B`` batch, ``L`` symbols, ``T`` steps, ``F`` features, ``K`` labels.
"""

from danq.core.cnn_rnn import CnnRnn
from danq.core.conv import ConvEncoder, ConvStage
from danq.core.heads import Mlp, MultiLabel
from danq.core.pooling import AttentionPool, Flatten, Last, Max, Mean
from danq.core.recurrent import Recurrent
from danq.core.symbol_conv import SymbolConv, one_hot

__all__ = [
    "AttentionPool",
    "CnnRnn",
    "ConvEncoder",
    "ConvStage",
    "Flatten",
    "Last",
    "Max",
    "Mean",
    "Mlp",
    "MultiLabel",
    "Recurrent",
    "SymbolConv",
    "one_hot",
]
