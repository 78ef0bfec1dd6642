"""In silico mutagenesis: effects of single-base substitutions and of pairs."""
