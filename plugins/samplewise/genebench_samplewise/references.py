"""BibTeX of the papers behind the methods."""

MANCUSO_2020 = """@article{mancuso2020,
  author = {Mancuso, Christopher A. and Canfield, Jacob L. and Singla, Deepak and Krishnan, Arjun},
  title = {A flexible, interpretable, and accurate approach for imputing the expression of
           unmeasured genes},
  journal = {Nucleic Acids Research}, volume = {48}, number = {21}, pages = {e125}, year = {2020},
  doi = {10.1093/nar/gkaa881}
}"""
