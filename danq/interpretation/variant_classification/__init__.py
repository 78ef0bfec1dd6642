"""Classification of functional variants by the effects that a model predicts for them."""
