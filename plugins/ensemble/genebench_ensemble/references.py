"""BibTeX of the papers behind the methods."""

BREIMAN_1996 = """@article{breiman1996,
  author = {Breiman, Leo}, title = {Stacked regressions},
  journal = {Machine Learning}, volume = {24}, pages = {49--64}, year = {1996},
  doi = {10.1007/BF00117832}
}"""
