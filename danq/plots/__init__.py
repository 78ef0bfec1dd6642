"""Plots of evaluations, mutagenesis and motifs with matplotlib, in one style.

A function returns a `matplotlib.figure.Figure`, which a notebook shows; `save` writes it as the
commands do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq._lazy import lazy_names

if TYPE_CHECKING:
    from danq.plots.amount_plots import plot_amount_baseline as plot_amount_baseline
    from danq.plots.amount_plots import plot_profiles as plot_profiles
    from danq.plots.amount_plots import plot_scatter as plot_scatter
    from danq.plots.dependency_heat_map import plot_dependencies as plot_dependencies
    from danq.plots.design_plot import plot_trajectories as plot_trajectories
    from danq.plots.metric_plots import plot_against as plot_against
    from danq.plots.metric_plots import plot_baseline as plot_baseline
    from danq.plots.metric_plots import plot_calibration as plot_calibration
    from danq.plots.metric_plots import plot_precision_recall as plot_precision_recall
    from danq.plots.metric_plots import plot_roc as plot_roc
    from danq.plots.motif_effect_plots import plot_dose as plot_dose
    from danq.plots.motif_effect_plots import plot_motif_effects as plot_motif_effects
    from danq.plots.motif_effect_plots import plot_spacing as plot_spacing
    from danq.plots.mutation_heat_map import plot_attributions as plot_attributions
    from danq.plots.mutation_heat_map import plot_effects as plot_effects
    from danq.plots.sequence_logo import draw_logo as draw_logo
    from danq.plots.style import save as save

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "draw_logo": "danq.plots.sequence_logo:draw_logo",
        "plot_against": "danq.plots.metric_plots:plot_against",
        "plot_amount_baseline": "danq.plots.amount_plots:plot_amount_baseline",
        "plot_attributions": "danq.plots.mutation_heat_map:plot_attributions",
        "plot_baseline": "danq.plots.metric_plots:plot_baseline",
        "plot_calibration": "danq.plots.metric_plots:plot_calibration",
        "plot_dependencies": "danq.plots.dependency_heat_map:plot_dependencies",
        "plot_dose": "danq.plots.motif_effect_plots:plot_dose",
        "plot_effects": "danq.plots.mutation_heat_map:plot_effects",
        "plot_motif_effects": "danq.plots.motif_effect_plots:plot_motif_effects",
        "plot_precision_recall": "danq.plots.metric_plots:plot_precision_recall",
        "plot_profiles": "danq.plots.amount_plots:plot_profiles",
        "plot_roc": "danq.plots.metric_plots:plot_roc",
        "plot_scatter": "danq.plots.amount_plots:plot_scatter",
        "plot_spacing": "danq.plots.motif_effect_plots:plot_spacing",
        "plot_trajectories": "danq.plots.design_plot:plot_trajectories",
        "save": "danq.plots.style:save",
    },
)

__all__ = [
    "draw_logo",
    "plot_against",
    "plot_amount_baseline",
    "plot_attributions",
    "plot_baseline",
    "plot_calibration",
    "plot_dependencies",
    "plot_dose",
    "plot_effects",
    "plot_motif_effects",
    "plot_precision_recall",
    "plot_profiles",
    "plot_roc",
    "plot_scatter",
    "plot_spacing",
    "plot_trajectories",
    "save",
]
